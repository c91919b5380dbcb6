// Package client speaks to a node over HTTP for the commands. It decides where
// the node is and which credential it gets, and never shows the operator's
// token to another machine. Start at Open.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"footfall/cmd/internal/local"
)

// DefaultServer is asked when nothing says otherwise.
const DefaultServer = "http://127.0.0.1:8080"

const (
	answerBytesMax = 64 << 20
	callTimeout    = 60 * time.Second
)

// Options say which node to speak to, and as whom.
type Options struct {
	Server string // URL; "" is the address recorded in Data, else DefaultServer
	Key    string // API key; "" is the operator's token of Data, for a node of this machine only
	Data   string // the node's data directory
}

// Client speaks to one node. Safe for concurrent use.
type Client struct {
	base   *url.URL
	bearer string
	http   *http.Client
}

// Open finds the node and the credential; it does not connect yet.
func Open(o Options) (*Client, error) {
	recorded, found := local.Address(o.Data)
	server := o.Server
	if server == "" {
		server = DefaultServer
		if found {
			server = recorded
		}
	}
	base, err := url.Parse(strings.TrimRight(server, "/"))
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User != nil || base.RawQuery != "" {
		return nil, fmt.Errorf("--server: %q is not like https://stats.example.com", server)
	}
	bearer := o.Key
	if strings.ContainsAny(bearer, " \t\r\n") {
		return nil, errors.New("--key: must not contain white space")
	}
	if bearer == "" {
		if !loopback(base.Hostname()) && server != recorded {
			return nil, fmt.Errorf("--key: needed for %s (the operator's token is never sent to another machine)", base)
		}
		bearer, err = local.Token(o.Data)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("--key: needed, since %s holds no token of a node (name the node's directory with --data)", o.Data)
		case errors.Is(err, fs.ErrPermission):
			return nil, fmt.Errorf("%w (run this as the user of the node, or give --key)", err)
		case err != nil:
			return nil, err
		}
	}
	return &Client{base: base, bearer: bearer, http: &http.Client{
		Timeout: callTimeout,
		// A redirect would take the credential along or turn POST into GET.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// Server is the node's URL without a slash at its end.
func (c *Client) Server() string { return c.base.String() }

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Error is a node's refusal.
type Error struct {
	Status     int           // HTTP status
	Text       string        // the node's own words, or the status in words
	RetryAfter time.Duration // how long the node asks to wait; 0 if it does not say
}

func (e *Error) Error() string { return e.Text }

// Unreachable is a node that gave no answer.
type Unreachable struct {
	Server string
	Err    error
}

func (e *Unreachable) Error() string {
	return fmt.Sprintf("cannot reach the node at %s (%v): is `footfall serve` running?", e.Server, e.Err)
}

func (e *Unreachable) Unwrap() error { return e.Err }

// StatusOf gives the HTTP status of the *Error in err's chain, else 0.
func StatusOf(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// Call sends in as JSON, nothing when in is nil, and gives the body of a 2xx
// answer, which is JSON or empty. Errors are *Error, *Unreachable, or of ctx.
func (c *Client) Call(ctx context.Context, method, path string, in any) (json.RawMessage, error) {
	var body []byte
	var header http.Header
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, fmt.Errorf("encode %s %s: %w", method, path, err)
		}
		header = http.Header{"Content-Type": {"application/json"}}
	}
	answer, err := c.Send(ctx, method, path, header, body)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(answer)) > 0 && !json.Valid(answer) {
		return nil, fmt.Errorf("%s answers %s %s with something that is not JSON: is it a Footfall node?", c.base, method, path)
	}
	return answer, nil
}

// Send does one request as Call does, with the body as it is. path is escaped
// by the caller and begins with "/".
func (c *Client) Send(ctx context.Context, method, path string, header http.Header, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base.String()+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	request.Header.Set("Authorization", "Bearer "+c.bearer)
	request.Header.Set("User-Agent", "footfall-cli")
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, answerBytesMax))
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return answer, refusal(response, answer)
	}
	return answer, nil
}

// unreachable words a failed exchange without the address of the request, which
// the user knows.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var op *net.OpError
	var u *url.Error
	switch {
	case errors.As(err, &op) && op.Err != nil && op.Op == "dial":
		err = op.Err
	case errors.As(err, &u):
		err = u.Err
	}
	return &Unreachable{Server: c.base.String(), Err: err}
}

func refusal(response *http.Response, body []byte) *Error {
	e := &Error{Status: response.StatusCode, Text: textOf(body)}
	if e.Text == "" {
		e.Text = "the node answers " + response.Status
	}
	if seconds, err := time.ParseDuration(response.Header.Get("Retry-After") + "s"); err == nil && seconds > 0 {
		e.RetryAfter = seconds
	}
	if e.Status == http.StatusUnauthorized {
		e.Text += " (the node does not know this key or token)"
	}
	return e
}

// textOf finds the words in an error's body.
func textOf(body []byte) string {
	var answer struct {
		Error  string          `json:"error"`
		Errors json.RawMessage `json:"errors"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return ""
	}
	if answer.Error != "" {
		return answer.Error
	}
	return string(answer.Errors)
}
