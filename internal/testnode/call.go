package testnode

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Firefox is the user agent of a view that says nothing else: a browser's.
const Firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

// NewClient gives a client as tests use it: it follows no redirection and has a
// bound on each answer. Close its idle connections at the end.
func NewClient() *http.Client {
	return &http.Client{
		Timeout:       callMax,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Request is one request to a node. Body is sent as it is when it is a string
// or bytes, else as JSON. Method defaults to GET, or POST with a body.
type Request struct {
	Method, Path string
	Body         any
	Header       map[string]string
	// Key is a bearer; AsOperator stands for the node's own token.
	Key string
}

// AsOperator makes a request the operator's.
const AsOperator = "operator"

// Answer is what a node answered.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends r as soon as the node serves. An error means that there was no whole
// answer.
func (n *Node) Do(ctx context.Context, r Request) (Answer, error) {
	base, err := n.Wait(ctx)
	if err != nil {
		return Answer{}, err
	}
	if r.Key == AsOperator {
		if r.Key, err = n.Token(); err != nil {
			return Answer{}, err
		}
	}
	return Ask(ctx, n.client, base, r)
}

// Ask sends r to base, a URL without a slash at its end, where a node or a
// balancer serves. The key must be a real one.
func Ask(ctx context.Context, client *http.Client, base string, r Request) (Answer, error) {
	req, err := newRequest(ctx, base, r)
	if err != nil {
		return Answer{}, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return Answer{resp.StatusCode, resp.Header, body}, err
}

func newRequest(ctx context.Context, base string, r Request) (*http.Request, error) {
	var body io.Reader
	switch b := r.Body.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	case []byte:
		body = bytes.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return nil, fmt.Errorf("encode the body of %s: %w", r.Path, err)
		}
		body = bytes.NewReader(text)
	}
	if r.Method == "" {
		r.Method = http.MethodGet
		if body != nil {
			r.Method = http.MethodPost
		}
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, base+r.Path, body)
	if err != nil {
		return nil, err
	}
	if r.Key != "" {
		req.Header.Set("Authorization", "Bearer "+r.Key)
	}
	req.Header.Set("User-Agent", Firefox)
	for name, value := range r.Header {
		req.Header.Set(name, value)
	}
	return req, nil
}

// Call sends r, fails the test unless the answer has the status, and gives the
// answer.
func (n *Node) Call(t testing.TB, status int, r Request) Answer {
	t.Helper()
	a, err := n.Do(t.Context(), r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.Path, err)
	}
	if a.Status != status {
		t.Fatalf("%s %s: got %d %s, want %d", r.Method, r.Path, a.Status, a.Body, status)
	}
	return a
}

// JSON reads the answer into v or fails the test.
func (a Answer) JSON(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(a.Body, v); err != nil {
		t.Fatalf("%s: %v", a.Body, err)
	}
}
