package export

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

// How an export flows: a goroutine looks at the state and writes rows into a pipe,
// through a buffer of bufferBytes and, if asked for, gzip. The handler waits for
// the first buffer, so that what fails early has a status of its own, then hands
// the other end to the server, which copies it to the connection, buffer by
// buffer. The pipe holds nothing, so a slow client slows the scan down and memory
// stays flat. What fails later breaks the connection off before the last chunk:
// no client takes half an export for a whole one.
const (
	bufferBytes = 32 << 10
	// stuckAfter ends an export whose client takes no buffer for this long.
	stuckAfter = 30 * time.Second

	headerIndex    = "X-Footfall-Index"
	headerComplete = "X-Footfall-Complete"
	headerRows     = "X-Footfall-Rows"
)

// errUnread says that nobody reads any more.
var errUnread = errors.New("the export is not read any more")

// opener begins the file with its columns.
type opener func(cols []heading) (writer, error)

// work writes an export. It ends soon after its context or with the first error
// of the writer.
type work func(ctx context.Context, s State, open opener) error

// stream is one export: the reading end for the server, and what the writing end
// has to tell.
type stream struct {
	door    *Door
	req     *request
	caller  string
	header  *fasthttp.ResponseHeader
	conn    net.Conn // nil without one
	pipe    *io.PipeReader
	within  context.Context // ends with the client, the time and the door
	end     func()          // ends within and what watches the client
	ended   chan struct{}   // closed when the goroutine has ended
	first   []byte          // read already
	ahead   []byte          // memory of first
	settled bool            // what became of it is noted

	// Written by the goroutine, read by others after something came out of the pipe.
	index uint64
	rows  uint64
}

// stream answers with the export that do writes.
func (d *Door) stream(ctx *fasthttp.RequestCtx, who accounts.Identity, r *request, do work) error {
	h := &ctx.Response.Header
	head := func() {
		h.SetContentType(r.format.contentType())
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Disposition", `attachment; filename="`+r.filename()+`"`)
		h.Set("X-Accel-Buffering", "no")
		if r.format != parquetFormat {
			h.Set("Vary", "Accept-Encoding")
		}
	}
	if ctx.IsHead() {
		head()
		return nil
	}
	s := &stream{door: d, req: r, caller: callerOf(who), header: h, conn: ctx.Conn(), ended: make(chan struct{}), ahead: make([]byte, bufferBytes)}
	if err := d.slots.take(s.caller, func() { d.running.Add(1) }); err != nil {
		d.count.refused.Inc()
		if analytics.CodeOf(err) == analytics.TooMany {
			h.Set("Retry-After", "10")
		}
		return err
	}
	// The client is watched beyond this handler, until the server, which is busy
	// with this answer, closes the stream: a scan can find nothing for long.
	watched, unwatch := door.Watch(ctx, d.base)
	within, cancel := context.WithTimeout(watched, d.cfg.Timeout)
	s.within, s.end = within, func() { cancel(); unwatch() }
	in, out := io.Pipe()
	s.pipe = in
	go s.run(out, do)
	if err := s.begin(); err != nil {
		err = s.refusal(err)
		s.Close()
		return err
	}
	head()
	h.Set(headerIndex, strconv.FormatUint(s.index, 10))
	if r.gzip {
		h.SetContentEncoding("gzip")
	}
	// Names that are allowed in trailers cannot fail.
	_ = h.AddTrailer(headerComplete)
	_ = h.AddTrailer(headerRows)
	ctx.SetBodyStream(s, -1)
	return nil
}

// begin waits for the first buffer, or the end of an export that has none.
func (s *stream) begin() error {
	n, err := io.ReadAtLeast(s.pipe, s.ahead, 1)
	s.first = s.ahead[:n]
	if err == io.EOF {
		return nil
	}
	return err
}

// refusal says why an export did not begin.
func (s *stream) refusal(err error) error {
	s.settled = true
	var elsewhere *door.Elsewhere
	switch {
	case errors.As(err, &elsewhere):
		return err
	case s.isGone():
		s.door.count.left.Inc()
		return &analytics.Error{Code: analytics.Unavailable, Text: "export: the client left", Err: err}
	case s.door.base.Err() != nil:
		err = &analytics.Error{Code: analytics.Unavailable, Text: "export: the server is stopping", Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		err = &analytics.Error{Code: analytics.Unavailable, Text: "export: took too long, ask for less or try again", Err: err}
	case analytics.CodeOf(err) == analytics.Internal:
		s.tell("an export did not begin", err)
	}
	s.door.count.refused.Inc()
	return err
}

func (s *stream) isGone() bool { return errors.Is(context.Cause(s.within), door.ErrClientLeft) }

func (s *stream) tell(what string, err error) {
	s.door.cfg.Logger.Error(what, "site", s.req.site.ID, "kind", s.req.kind, "format", s.req.format.extension(), "error", err)
}

// run is the goroutine of an export. It ends with the pipe closed, with nil or
// with what went wrong.
func (s *stream) run(out *io.PipeWriter, do work) {
	defer s.door.running.Done()
	defer s.door.slots.give(s.caller)
	defer close(s.ended)
	// A client that takes nothing must not outlast the context.
	stop := context.AfterFunc(s.within, func() { out.CloseWithError(context.Cause(s.within)) })
	defer stop()
	out.CloseWithError(s.look(out, do)) // nil is the end of the file
}

func (s *stream) look(out *io.PipeWriter, do work) (err error) {
	defer caught(&err)
	buffer := bufio.NewWriterSize(out, bufferBytes)
	whole := false
	err = s.door.cfg.Looker.Look(s.within, s.req.site.ID, s.req.after, func(ctx context.Context, state State) (err error) {
		defer caught(&err)
		s.index = state.Index()
		if err := s.write(ctx, state, buffer, do); err != nil {
			return err
		}
		whole = true
		return nil
	})
	if err == nil && !whole {
		err = analytics.Errorf(analytics.Internal, "export: nobody looked at the site")
	}
	return err
}

func (s *stream) write(ctx context.Context, state State, buffer *bufio.Writer, do work) error {
	var to io.Writer = buffer
	var zip *gzip.Writer
	if s.req.gzip {
		var err error
		if zip, err = gzip.NewWriterLevel(buffer, gzip.BestSpeed); err != nil {
			return fmt.Errorf("compress an export: %w", err)
		}
		to = zip
	}
	err := do(ctx, state, func(cols []heading) (writer, error) {
		w, err := s.req.format.writer(to, cols, s.req, state.Index())
		return &counted{writer: w, rows: &s.rows}, err
	})
	if err != nil {
		return err
	}
	if zip != nil {
		if err := zip.Close(); err != nil {
			return fmt.Errorf("compress an export: %w", err)
		}
	}
	return buffer.Flush()
}

// caught makes an error of a panic: nobody else is there to catch it.
func caught(err *error) {
	if p := recover(); p != nil {
		*err = analytics.Errorf(analytics.Internal, "panic in an export: %v\n%s", p, debug.Stack())
	}
}

// counted counts the rows that go through it.
type counted struct {
	writer
	rows *uint64
}

func (c *counted) row(cells []cell) error {
	*c.rows++
	return c.writer.row(cells)
}

// Read gives what comes next.
func (s *stream) Read(p []byte) (int, error) {
	if len(s.first) > 0 {
		n := copy(p, s.first)
		s.first = s.first[n:]
		return n, nil
	}
	n, err := s.pipe.Read(p)
	if err == io.EOF {
		s.whole()
	}
	return n, err
}

// SupportsBodyWriteTo lets the server take whole buffers.
func (s *stream) SupportsBodyWriteTo() bool { return true }

// WriteTo writes all that is left to w, a chunk for every buffer. An error, of
// the export or of the connection, makes the server close the connection without
// the chunk that ends an answer.
func (s *stream) WriteTo(w io.Writer) (n int64, err error) {
	for {
		k, err := s.Read(s.ahead)
		if k > 0 {
			if s.conn != nil {
				// The server's own deadline is for a whole answer. A connection that is gone
				// says so below.
				_ = s.conn.SetWriteDeadline(time.Now().Add(stuckAfter))
			}
			k, err := w.Write(s.ahead[:k])
			n += int64(k)
			if err != nil {
				s.left(err)
				return n, err
			}
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			s.broken(err)
			return n, err
		}
	}
}

// whole marks a complete export: only now the trailers are filled in.
func (s *stream) whole() {
	if s.settled {
		return
	}
	s.settled = true
	s.header.Set(headerComplete, "true")
	s.header.Set(headerRows, strconv.FormatUint(s.rows, 10))
	s.door.count.whole.Inc()
	s.door.count.rows.Add(int(s.rows))
}

// broken notes an export that broke off before its end.
func (s *stream) broken(err error) {
	if s.isGone() {
		s.left(err)
	}
	if s.settled {
		return
	}
	s.settled = true
	s.door.count.broken.Inc()
	if s.door.base.Err() == nil { // else as it was told to
		s.tell("an export broke off", err)
	}
}

// left notes an export whose client did not take all of it.
func (s *stream) left(err error) {
	if s.settled {
		return
	}
	s.settled = true
	s.door.count.left.Inc()
	s.door.cfg.Logger.Debug("the client of an export left", "site", s.req.site.ID, "kind", s.req.kind, "error", err)
}

// Close ends the export and waits for its goroutine. The server calls it when the
// answer is written, could not be, or will not be.
func (s *stream) Close() error {
	s.left(errUnread) // unless it was read to its end, or something else is noted
	s.pipe.CloseWithError(errUnread)
	s.end()
	<-s.ended
	return nil
}
