package wire_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"footfall/bench/wire"
)

// spoken is a connection to somebody who has said all there is to say.
type spoken struct {
	io.Reader
	closed bool
}

func (*spoken) Write(b []byte) (int, error)      { return len(b), nil }
func (s *spoken) Close() error                   { s.closed = true; return nil }
func (*spoken) LocalAddr() net.Addr              { return nil }
func (*spoken) RemoteAddr() net.Addr             { return nil }
func (*spoken) SetDeadline(time.Time) error      { return nil }
func (*spoken) SetReadDeadline(time.Time) error  { return nil }
func (*spoken) SetWriteDeadline(time.Time) error { return nil }

func ask(c *wire.Conn) (wire.Answer, error) {
	return c.Ask([]byte("GET / HTTP/1.1\r\n\r\n"), time.Now(), time.Second, true, nil)
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		raw     string
		status  int
		body    string
		dropped int
		open    bool // afterwards
	}{
		{"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\nX-Plausible-Dropped: 3\r\n\r\nok", 202, "ok", 3, true},
		{"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", 204, "", 0, true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n", 200, "abc0123456789", 0, true},
		{"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na", 200, "a", 0, false},
		{"HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, "until the end", 0, false},
		{"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 503 No\nContent-Length: 0\n\n", 503, "", 0, true},
	} {
		s := &spoken{Reader: strings.NewReader(c.raw)}
		var conn wire.Conn
		conn.Take(s)
		a, err := ask(&conn)
		if err != nil || a.Status != c.status || string(a.Body) != c.body || a.Dropped != c.dropped || conn.Open() != c.open || s.closed == c.open || conn.Read != int64(len(c.raw)) {
			t.Errorf("%q: got %+v (%q), open %v, %d bytes, %v", c.raw, a, a.Body, conn.Open(), conn.Read, err)
		}
	}
}

func TestWhatIsNoAnswerClosesTheConnection(t *testing.T) {
	for _, raw := range []string{"", "HTTP/1.1 20", "SSH-2.0-x\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 000 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 5000) + "\r\n\r\n", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 200)} {
		s := &spoken{Reader: strings.NewReader(raw)}
		var conn wire.Conn
		conn.Take(s)
		if a, err := ask(&conn); err == nil || conn.Open() || !s.closed {
			t.Errorf("%.60q: got %+v, open %v, %v", raw, a, conn.Open(), err)
		}
	}
}

func TestAStreamIsGivenLineByLine(t *testing.T) {
	var conn wire.Conn
	conn.Take(&spoken{Reader: strings.NewReader("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\ndata: 1\n\nabc\r\n")})
	var lines []string
	status := 0
	err := conn.Stream(nil, time.Minute, func(s int) { status = s }, func(b []byte) { lines = append(lines, string(b)) })
	if !errors.Is(err, io.ErrUnexpectedEOF) || status != 200 || len(lines) != 4 || lines[1] != "data: 1" {
		t.Errorf("%d, %q, %v", status, lines, err)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 200\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 100 C\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var conn wire.Conn
		conn.Take(&spoken{Reader: bytes.NewReader(raw)})
		a, err := ask(&conn)
		if err == nil && (a.Status < 200 || len(a.Body) > len(raw)) {
			t.Errorf("%q: status %d with %d bytes", raw, a.Status, len(a.Body))
		}
		if err != nil && conn.Open() {
			t.Errorf("%q: open after %v", raw, err)
		}
	})
}
