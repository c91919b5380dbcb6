// Package local is what a running node leaves in its data directory for
// commands on the same machine: its address and the operator's token. Neither
// file may be readable by others where it grants anything. Start at Token.
package local

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

const (
	tokenName   = "token"
	addressName = "address"

	tokenBytes   = 32 // of randomness
	fileBytesMax = 4096
)

// EnsureToken gives the operator's token of the data directory dir and makes it
// from random at the first start. The file has mode 0600; a file that others
// can read is an error, because it may have been read.
func EnsureToken(dir string, random io.Reader) (string, error) {
	token, err := Token(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return token, err
	}
	var secret [tokenBytes]byte
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return "", fmt.Errorf("make the operator token: %w", err)
	}
	token = base64.RawURLEncoding.EncodeToString(secret[:])
	if err := replace(dir, tokenName, token+"\n", 0o600); err != nil {
		return "", fmt.Errorf("keep the operator token: %w", err)
	}
	return token, nil
}

// Token reads the operator's token of the data directory dir. The error is
// fs.ErrNotExist in its chain when no node has ever run there.
func Token(dir string) (string, error) {
	path := filepath.Join(dir, tokenName)
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("operator token: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("operator token: %w", err)
	}
	if mode := info.Mode(); !mode.IsRegular() || mode.Perm()&0o077 != 0 {
		return "", fmt.Errorf("operator token: %s has mode %v, others may have read it: remove it and start the node again", path, mode)
	}
	text, err := io.ReadAll(io.LimitReader(f, fileBytesMax))
	if err != nil {
		return "", fmt.Errorf("operator token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if raw, err := base64.RawURLEncoding.DecodeString(token); err != nil || len(raw) < tokenBytes {
		return "", fmt.Errorf("operator token: %s is damaged: remove it and start the node again", path)
	}
	return token, nil
}

// WriteAddress records where a node listens, so that commands given the same
// data directory find it.
func WriteAddress(dir string, listening net.Addr) error {
	host, port, err := net.SplitHostPort(listening.String())
	if err != nil {
		return fmt.Errorf("record the address: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	if err := replace(dir, addressName, "http://"+net.JoinHostPort(host, port)+"\n", 0o644); err != nil {
		return fmt.Errorf("record the address: %w", err)
	}
	return nil
}

// Address gives the URL that WriteAddress recorded; ok is false when there is
// none that can be used.
func Address(dir string) (server string, ok bool) {
	f, err := os.Open(filepath.Join(dir, addressName))
	if err != nil {
		return "", false
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, fileBytesMax))
	if err != nil {
		return "", false
	}
	server = strings.TrimSpace(string(text))
	u, err := url.Parse(server)
	return server, err == nil && u.Scheme == "http" && u.Host != ""
}

// RemoveAddress forgets the address; a node calls it when it stops.
func RemoveAddress(dir string) error {
	if err := os.Remove(filepath.Join(dir, addressName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the address: %w", err)
	}
	return nil
}

// replace writes a small file whole or not at all.
func replace(dir, name, text string, mode fs.FileMode) (err error) {
	f, err := os.CreateTemp(dir, "."+name+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(dir, name))
}
