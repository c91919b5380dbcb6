package edge

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

const body = `{"n":"pageview","u":"https://example.com/","d":"example.com"}`

func post(lines ...string) string {
	return "POST /api/event HTTP/1.1\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// TestRawRequests sends bytes that no honest client sends. Whatever the answer
// is, it is never a 5xx, never a crash, and the view inside is counted only
// where the request has one meaning for every reader on the way.
func TestRawRequests(t *testing.T) {
	s := start(t, func(o *Options) { o.ReadTimeout, o.IdleTimeout = 300*time.Millisecond, 300*time.Millisecond })
	length := fmt.Sprintf("Content-Length: %d", len(body))
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	for _, c := range []struct {
		name, raw string
		statuses  string // space separated, one per answer on the connection
		counted   int64
	}{
		{"honest", post("Host: h", length) + body, "202", 1},
		{"honest chunked", post("Host: h", "Transfer-Encoding: chunked") + chunked, "202", 1},
		{"1 both lengths and chunks", post("Host: h", length, "Transfer-Encoding: chunked") + chunked, "400", 0},
		{"2 two lengths", post("Host: h", length, "Content-Length: 3") + body, "400", 0},
		{"3 length with plus", post("Host: h", "Content-Length: +3") + "{} ", "400", 0},
		{"4 negative length", post("Host: h", "Content-Length: -3") + "{} ", "400", 0},
		{"5 unknown coding", post("Host: h", "Transfer-Encoding: xchunked") + chunked, "400", 0},
		{"6 space before colon", post("Host: h", "Content-Length : 2") + "{}", "400", 0},
		{"7 NUL in a header", post("Host: h", "X-A: a\x00b", length) + body, "400", 0},
		{"8 bare CR in a header", post("Host: h", "X-A: a\rb", length) + body, "400", 0},
		{"9 no host", post(length) + body, "400", 0},
		{"10 two hosts", post("Host: h", "Host: i", length) + body, "400", 0},
		{"11 HTTP/0.9", "GET /\r\n\r\n", "400", 0},
		{"12 TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x7f", 64) + "\r\n\r\n", "400", 0},
		{"13 header of 10 kB", post("Host: h", "X-A: "+strings.Repeat("a", 10_000), length) + body, "431", 0},
		{"14 URL of 5 kB", strings.Replace(post("Host: h", length), "/api/event", "/api/event?"+strings.Repeat("a", 5000), 1) + body, "414", 0},
		{"15 body over the limit", post("Host: h", "Content-Length: 70000") + strings.Repeat("x", 70_000), "413", 0},
		{"15b chunked body over the limit", post("Host: h", "Transfer-Encoding: chunked") + "11170\r\n" + strings.Repeat("x", 70_000), "413", 0},
		{"16 LF only", strings.ReplaceAll(post("Host: h", length), "\r\n", "\n") + body, "408", 0},
		{"17 TRACE", "TRACE /api/event HTTP/1.1\r\nHost: h\r\n\r\n", "405", 0},
		{"18 folded header", post("Host: h", "X-A: a", " b", length) + body, "202", 1},
		{"19 dot segments", strings.Replace(post("Host: h", length), "/api/event", "/x/../api/event", 1) + body, "404", 0},
		{"20 encoded dot segments", strings.Replace(post("Host: h", length), "/api/event", "/x/%2e%2e/api/event", 1) + body, "404", 0},
		{"21 double encoded", strings.Replace(post("Host: h", length), "/api/event", "/api%252fevent", 1) + body, "404", 0},
		{"encoded letter", strings.Replace(post("Host: h", length), "/api/event", "/api/%65vent", 1) + body, "404", 0},
		{"pipelined", post("Host: h", length) + body + post("Host: h", length) + body, "202 202", 2},
		{"smuggled behind GET", "GET /v1/public HTTP/1.1\r\nHost: h\r\n" + length + "\r\n\r\n" + body, "200", 0},
		{"short body", post("Host: h", "Content-Length: 1000") + body, "408", 0},
		{"broken chunk", post("Host: h", "Transfer-Encoding: chunked") + "zz\r\n" + body, "400", 0},
		{"endless chunk size", post("Host: h", "Transfer-Encoding: chunked") + strings.Repeat("f", 100) + "\r\n", "400", 0},
		{"lower-case method", strings.Replace(post("Host: h", length), "POST", "post", 1) + body, "405", 0},
		{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "404", 0},
		{"only line ends", "\r\n\r\n\r\n", "", 0},
	} {
		before := s.beacons.Load()
		statuses := s.raw(t, c.name, c.raw)
		if got := strings.Join(statuses, " "); got != c.statuses {
			t.Errorf("%s: answers %q, want %q", c.name, got, c.statuses)
		}
		if got := s.beacons.Load() - before; got != c.counted {
			t.Errorf("%s: %d counted, want %d", c.name, got, c.counted)
		}
	}
}

// raw sends bytes and gives the status of each answer until the server closes
// the connection, which it must do by itself.
func (s *site) raw(t *testing.T, name, bytes string) []string {
	t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		io.WriteString(c, bytes) // the server may close before it has read all
	}()
	var out []string
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if rest, ok := strings.CutPrefix(line, "HTTP/1.1 "); ok && len(rest) > 3 {
			out = append(out, rest[:3])
		}
		if err != nil {
			var netErr net.Error
			if errors.As(err, &netErr) && netErr.Timeout() {
				t.Errorf("%s: the server keeps the connection", name)
			}
			break
		}
	}
	c.Close()
	<-sent
	return out
}

func TestSlowConnectionsAreClosed(t *testing.T) {
	s := start(t, func(o *Options) { o.ReadTimeout, o.IdleTimeout = 200*time.Millisecond, 200*time.Millisecond })
	const n = 50
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns[i] = c
		switch i % 3 {
		case 1:
			io.WriteString(c, "POST /api/event HTTP/1.1\r\nHost: h\r\nX-")
		case 2:
			io.WriteString(c, "POST /api/event HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n{")
		}
	}
	for i, c := range conns {
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Fatalf("connection %d is still open", i)
		}
	}
	if s.beacons.Load() != 0 {
		t.Error("something was counted")
	}
}
