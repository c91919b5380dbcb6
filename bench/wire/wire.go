// Package wire is one connection to an HTTP/1.1 server, for a load generator:
// whole requests out, answers in, little more. It must never retry or follow
// anything: who asks decides that. Start at Conn.
package wire

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// Conn is a connection that is opened when it is needed. It is not safe for
// concurrent use. Its zero value is closed.
type Conn struct {
	conn     net.Conn
	in       *bufio.Reader
	deadline time.Time
	used     bool // an answer has come over it

	Read int64 // bytes received over all its connections
}

// Answer is what of a response is looked at.
type Answer struct {
	Status  int
	Dropped int    // X-Plausible-Dropped
	Body    []byte // if wanted; valid until the next request
}

const (
	dialTimeout  = 5 * time.Second
	headerMax    = 100     // lines
	bodyBytesMax = 8 << 20 // that are kept
)

var errAnswer = errors.New("malformed answer")

// Open tells whether there is a connection.
func (c *Conn) Open() bool { return c.conn != nil }

// Used tells whether the connection has carried an answer before; an error on
// such a one may only mean that the server closed it in between.
func (c *Conn) Used() bool { return c.used }

// Dial connects. config is nil for plain HTTP.
func (c *Conn) Dial(ctx context.Context, addr string, config *tls.Config, timeout time.Duration) error {
	c.Close()
	d := net.Dialer{Timeout: min(timeout, dialTimeout)}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	if config != nil {
		secure := tls.Client(conn, config)
		limit, cancel := context.WithTimeout(ctx, min(timeout, dialTimeout))
		err := secure.HandshakeContext(limit)
		cancel()
		if err != nil {
			conn.Close()
			return err
		}
		conn = secure
	}
	c.Take(conn)
	return nil
}

// Take makes use of a connection that was opened elsewhere.
func (c *Conn) Take(conn net.Conn) {
	c.Close()
	c.conn = conn
	if c.in == nil {
		c.in = bufio.NewReaderSize(conn, 4096)
	} else {
		c.in.Reset(conn)
	}
}

// Close lets go of the connection.
func (c *Conn) Close() {
	if c.conn != nil {
		_ = c.conn.Close() // nothing more is expected of it
	}
	c.conn, c.deadline, c.used = nil, time.Time{}, false
}

// Ask sends a request and reads the answer, which takes timeout and at most a
// quarter more: moving the deadline each time would cost more than the request.
// The body is put into dst if keep is set. The connection is closed after an
// error, and where the server wants it.
func (c *Conn) Ask(request []byte, now time.Time, timeout time.Duration, keep bool, dst []byte) (a Answer, err error) {
	if c.deadline.Sub(now) < timeout {
		c.deadline = now.Add(timeout + timeout/4)
		if err := c.conn.SetDeadline(c.deadline); err != nil {
			c.Close()
			return a, err
		}
	}
	if _, err = c.conn.Write(request); err != nil {
		c.Close()
		return a, err
	}
	head, err := c.head()
	if err != nil {
		c.Close()
		return a, err
	}
	a.Status, a.Dropped = head.status, head.dropped
	if a.Body, err = c.body(&head, keep, dst[:0]); err != nil {
		c.Close()
		return a, err
	}
	c.used = true
	if head.closes {
		c.Close()
	}
	return a, nil
}

type head struct {
	status  int
	length  int64 // -1: until the end
	chunked bool
	closes  bool
	dropped int
}

// head reads the status and the headers of a response.
func (c *Conn) head() (h head, err error) {
	for h.status < 200 { // what is below is only on the way to an answer
		if h, err = c.oneHead(); err != nil {
			return h, err
		}
	}
	if h.status == 204 || h.status == 304 {
		h.length, h.chunked = 0, false
	}
	if h.length < 0 && !h.chunked {
		h.closes = true
	}
	return h, nil
}

func (c *Conn) oneHead() (h head, err error) {
	line, err := c.line()
	if err != nil {
		return h, err
	}
	if len(line) < 12 || string(line[:5]) != "HTTP/" {
		return h, errAnswer
	}
	for _, d := range line[9:12] {
		if d < '0' || d > '9' {
			return h, errAnswer
		}
		h.status = h.status*10 + int(d-'0')
	}
	if h.status < 100 {
		return h, errAnswer
	}
	h.length = -1
	h.closes = string(line[:8]) == "HTTP/1.0"
	for range headerMax {
		if line, err = c.line(); err != nil {
			return h, err
		}
		if len(line) == 0 {
			return h, nil
		}
		if err := h.take(line); err != nil {
			return h, err
		}
	}
	return h, errAnswer
}

var (
	contentLength    = []byte("content-length")
	transferEncoding = []byte("transfer-encoding")
	connection       = []byte("connection")
	dropped          = []byte("x-plausible-dropped")
	chunked          = []byte("chunked")
	closing          = []byte("close")
)

// take notes one header. Lengths tell most of them apart from what matters.
func (h *head) take(line []byte) error {
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return errAnswer
	}
	var err error
	switch name, value := line[:colon], bytes.TrimSpace(line[colon+1:]); {
	case colon == len(contentLength) && bytes.EqualFold(name, contentLength):
		if h.length, err = strconv.ParseInt(string(value), 10, 64); err != nil || h.length < 0 {
			return errAnswer
		}
	case colon == len(transferEncoding) && bytes.EqualFold(name, transferEncoding):
		h.chunked = bytes.EqualFold(value, chunked)
	case colon == len(connection) && bytes.EqualFold(name, connection):
		h.closes = h.closes || bytes.EqualFold(value, closing)
	case colon == len(dropped) && bytes.EqualFold(name, dropped):
		if h.dropped, err = strconv.Atoi(string(value)); err != nil {
			return errAnswer
		}
	}
	return nil
}

// line reads a line without its end.
func (c *Conn) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	c.Read += int64(len(line))
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, fmt.Errorf("%w: a header longer than %d bytes", errAnswer, c.in.Size())
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, nil
}

func (c *Conn) body(h *head, keep bool, dst []byte) ([]byte, error) {
	if !h.chunked {
		if h.length < 0 {
			return c.rest(keep, dst)
		}
		return c.take(h.length, keep, dst)
	}
	for {
		line, err := c.line()
		if err != nil {
			return dst, err
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseInt(string(bytes.TrimSpace(size)), 16, 64)
		if err != nil || n < 0 {
			return dst, errAnswer
		}
		if n > 0 {
			if dst, err = c.take(n, keep, dst); err != nil {
				return dst, err
			}
		}
		for { // the line after a chunk, or trailers up to an empty one
			line, err := c.line()
			if err != nil {
				return dst, err
			}
			if n > 0 && len(line) > 0 {
				return dst, errAnswer
			}
			if len(line) == 0 {
				break
			}
		}
		if n == 0 {
			return dst, nil
		}
	}
}

func (c *Conn) take(n int64, keep bool, dst []byte) ([]byte, error) {
	c.Read += n
	for n > 0 {
		if !keep || len(dst) >= bodyBytesMax {
			k, err := c.in.Discard(int(min(n, 1<<20)))
			if n -= int64(k); err != nil {
				return dst, err
			}
			continue
		}
		if c.in.Buffered() == 0 {
			if _, err := c.in.Peek(1); err != nil {
				return dst, err
			}
		}
		b, err := c.in.Peek(int(min(n, int64(c.in.Buffered()))))
		if err != nil {
			return dst, err
		}
		dst = append(dst, b...)
		if _, err := c.in.Discard(len(b)); err != nil {
			return dst, err
		}
		n -= int64(len(b))
	}
	return dst, nil
}

func (c *Conn) rest(keep bool, dst []byte) ([]byte, error) {
	for {
		if _, err := c.in.Peek(1); errors.Is(err, io.EOF) {
			return dst, nil
		} else if err != nil {
			return dst, err
		}
		var err error
		if dst, err = c.take(int64(c.in.Buffered()), keep, dst); err != nil {
			return dst, err
		}
	}
}

// Stream sends a request whose answer goes on, and calls line with each line of
// it until there is an error. Lines belong to the callee only during the call.
func (c *Conn) Stream(request []byte, timeout time.Duration, opened func(status int), line func([]byte)) error {
	defer c.Close()
	if err := c.conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	h, err := c.head()
	if err != nil {
		return err
	}
	opened(h.status)
	if h.status > 299 {
		return nil
	}
	for {
		if err := c.conn.SetDeadline(time.Now().Add(timeout)); err != nil {
			return err
		}
		text, err := c.line()
		if err != nil {
			return err
		}
		line(text)
	}
}

// Closer gives a function that breaks the present connection, and may be called
// while another goroutine waits for an answer, which then ends with an error.
func (c *Conn) Closer() func() {
	conn := c.conn
	return func() { _ = conn.Close() }
}
