package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

type userCommand struct {
	Add    userAdd    `cmd:"" help:"Make a user."`
	List   userList   `cmd:"" help:"List users."`
	Remove userRemove `cmd:"" help:"Remove a user and sign them out."`
}

// userAnswer is a user as the node tells it.
type userAnswer struct {
	ID    ident  `json:"id"`
	Email string `json:"email"`
	Name  string `json:"name"`
	Role  string `json:"role"`
}

type userAdd struct {
	Email         string `arg:"" help:"E-mail address to sign in with."`
	Name          string `placeholder:"NAME" help:"How to call them (default: the address before the @)."`
	Role          string `enum:"viewer,admin,owner" default:"viewer" placeholder:"ROLE" help:"${enum}."`
	PasswordStdin bool   `help:"Read the password's line from standard input instead of making one up."`
	remote
}

const (
	passwordLetters  = "abcdefghijkmnopqrstuvwxyz23456789" // without those easy to mistake
	passwordLength   = 20
	passwordBytesMax = 200
)

// Run makes the user. A password made here is shown this once.
func (c userAdd) Run(ctx context.Context, w *world) error {
	node, err := c.open(w)
	if err != nil {
		return err
	}
	defer node.Close()
	var password string
	if c.PasswordStdin {
		password, err = readPassword(w.stdin)
	} else {
		password, err = makePassword(w.random)
	}
	if err != nil {
		return err
	}
	name := c.Name
	if name == "" {
		name, _, _ = strings.Cut(c.Email, "@")
	}
	answer, err := node.Call(ctx, http.MethodPost, "/v1/users", map[string]string{"email": c.Email, "name": name, "password": password, "role": c.Role})
	if err != nil {
		return err
	}
	if c.JSON {
		out := map[string]any{}
		if len(answer) > 0 {
			if err := understand(answer, &out); err != nil {
				return err
			}
		}
		if !c.PasswordStdin {
			out["password"] = password
		}
		return json.NewEncoder(w.stdout).Encode(out)
	}
	fmt.Fprintf(w.stdout, "%s added as %s.\n", c.Email, c.Role)
	if !c.PasswordStdin {
		fmt.Fprintf(w.stdout, "password: %s\n", password)
	}
	return nil
}

func readPassword(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, passwordBytesMax+2)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", fmt.Errorf("password: read standard input: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	switch {
	case line == "":
		return "", errors.New("password: standard input is empty")
	case len(line) > passwordBytesMax:
		return "", fmt.Errorf("password: longer than %d bytes", passwordBytesMax)
	}
	return line, nil
}

// makePassword draws letters evenly: bytes that would favour some are thrown
// away.
func makePassword(random io.Reader) (string, error) {
	const even = 256 - 256%len(passwordLetters)
	password := make([]byte, 0, passwordLength)
	var b [1]byte
	for len(password) < passwordLength {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return "", fmt.Errorf("password: make one: %w", err)
		}
		if int(b[0]) < even {
			password = append(password, passwordLetters[int(b[0])%len(passwordLetters)])
		}
	}
	return string(password), nil
}

type userList struct{ remote }

// Run lists users.
func (c userList) Run(ctx context.Context, w *world) error {
	node, err := c.open(w)
	if err != nil {
		return err
	}
	defer node.Close()
	answer, err := node.Call(ctx, http.MethodGet, "/v1/users", nil)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(w.stdout, answer, nil)
	}
	users, err := usersOf(answer)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, u := range users {
		rows = append(rows, []string{string(u.ID), u.Email, orDash(u.Name), u.Role})
	}
	return printTable(w.stdout, []string{"ID", "E-MAIL", "NAME", "ROLE"}, rows)
}

func usersOf(answer json.RawMessage) ([]userAnswer, error) {
	var list struct {
		Users []userAnswer `json:"users"`
	}
	return list.Users, understand(answer, &list)
}

type userRemove struct {
	User string `arg:"" name:"email" help:"E-mail address or id."`
	remote
}

// Run removes the user that is meant.
func (c userRemove) Run(ctx context.Context, w *world) error {
	node, err := c.open(w)
	if err != nil {
		return err
	}
	defer node.Close()
	answer, err := node.Call(ctx, http.MethodGet, "/v1/users", nil)
	if err != nil {
		return err
	}
	users, err := usersOf(answer)
	if err != nil {
		return err
	}
	for _, u := range users {
		if string(u.ID) != c.User && !strings.EqualFold(u.Email, c.User) {
			continue
		}
		if answer, err = node.Call(ctx, http.MethodDelete, "/v1/users/"+url.PathEscape(string(u.ID)), nil); err != nil {
			return err
		}
		if c.JSON {
			return printJSON(w.stdout, answer, map[string]string{"removed": string(u.ID)})
		}
		_, err = fmt.Fprintf(w.stdout, "%s removed.\n", u.Email)
		return err
	}
	return fmt.Errorf("email: no user %q (footfall user list shows them)", c.User)
}
