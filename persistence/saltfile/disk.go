package saltfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// disk is where the salts are kept.
type disk struct{ path string }

// names of what a rotation has beside the file for a moment.
func (f disk) temporary() string { return f.path + ".new" }
func (f disk) outgoing() string  { return f.path + ".old" }

// save replaces the file by b and destroys the bytes it held. Whatever moment it
// is interrupted at, the file is whole, old or new, and sweepLeftovers finishes
// the destruction.
func (f disk) save(b []byte) error {
	if err := f.sweepLeftovers(); err != nil {
		return err
	}
	if err := writeSynced(f.temporary(), b); err != nil {
		return err
	}
	if err := os.Link(f.path, f.outgoing()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(f.temporary(), f.path); err != nil {
		return err
	}
	if err := syncDir(f.path); err != nil {
		return err
	}
	return destroy(f.outgoing())
}

// sweepLeftovers destroys what an interrupted save left. The outgoing name may
// still be the file itself, when the rename did not happen; then only the name
// goes.
func (f disk) sweepLeftovers() error {
	if err := destroy(f.temporary()); err != nil {
		return err
	}
	out, err := os.Lstat(f.outgoing())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if cur, err := os.Lstat(f.path); err == nil && os.SameFile(out, cur) {
		if err := os.Remove(f.outgoing()); err != nil {
			return err
		}
		return syncDir(f.path)
	}
	return destroy(f.outgoing())
}

func writeSynced(path string, b []byte) (err error) {
	w, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if _, err := w.Write(b); err != nil {
		return err
	}
	return w.Sync()
}

// destroy overwrites a file with zeros, syncs it and removes it. A missing file
// is destroyed already.
func destroy(path string) error {
	if err := wipe(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return syncDir(path)
}

func wipe(path string) (err error) {
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	info, err := w.Stat()
	if err != nil {
		return err
	}
	if _, err := w.WriteAt(make([]byte, info.Size()), 0); err != nil {
		return err
	}
	return w.Sync()
}

func syncDir(path string) (err error) {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return d.Sync()
}
