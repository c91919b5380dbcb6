package testnode

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// changeMax is how long a change may take to arrive. Streams also look by
// themselves every 15 s; a wait as long as that would not notice that nobody
// tells them.
const changeMax = 10 * time.Second

// Change is one event of a live stream.
type Change struct {
	ID    string `json:"-"`
	Index uint64 `json:"index"`
	Live  int    `json:"live"`
}

// Stream is an open live stream of a site.
type Stream struct {
	t       testing.TB
	changes chan Change
}

// Live opens the live stream of a site as the operator. It ends with the test.
func (n *Node) Live(t testing.TB, site string) *Stream {
	t.Helper()
	token, err := n.Token()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	req, err := newRequest(ctx, n.URL(), Request{Path: "/v1/sites/" + url.PathEscape(site) + "/live", Key: token})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	resp, err := n.client.Transport.RoundTrip(req) // without the limit on a whole answer
	if err != nil {
		cancel()
		t.Fatalf("open the live stream: %v", err)
	}
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		cancel()
		t.Fatalf("live stream: got %d %v", resp.StatusCode, resp.Header)
	}
	s := &Stream{t: t, changes: make(chan Change, 4096)}
	var reading sync.WaitGroup
	reading.Go(func() {
		defer resp.Body.Close()
		defer close(s.changes)
		s.read(bufio.NewScanner(resp.Body))
	})
	t.Cleanup(func() {
		cancel()
		reading.Wait()
	})
	return s
}

// read passes the events on until the stream ends; those that nobody takes and
// that do not fit are left out.
func (s *Stream) read(lines *bufio.Scanner) {
	var event, id string
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "event":
			event = value
		case "id":
			id = value
		case "data":
			var c Change
			if event != "change" || json.Unmarshal([]byte(value), &c) != nil {
				continue
			}
			c.ID = id
			select {
			case s.changes <- c:
			default:
			}
		}
	}
}

// Next waits for the first change, from here on, that ok likes.
func (s *Stream) Next(what string, ok func(Change) bool) Change {
	s.t.Helper()
	deadline := time.NewTimer(changeMax)
	defer deadline.Stop()
	for {
		select {
		case c, open := <-s.changes:
			if !open {
				s.t.Fatalf("the live stream ended before: %s", what)
			}
			if ok(c) {
				return c
			}
		case <-deadline.C:
			s.t.Fatalf("waited %v in vain on the live stream: %s", changeMax, what)
		}
	}
}

// Ended waits until the stream has ended, as it does when its node stops.
func (s *Stream) Ended() {
	s.t.Helper()
	deadline := time.NewTimer(callMax)
	defer deadline.Stop()
	for {
		select {
		case _, open := <-s.changes:
			if !open {
				return
			}
		case <-deadline.C:
			s.t.Fatalf("the live stream is still open after %v", callMax)
		}
	}
}
