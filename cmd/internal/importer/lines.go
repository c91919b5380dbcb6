package importer

import (
	"bytes"
	"io"
)

const (
	lineBytesMax     = 4 << 20 // longer lines are rejected unread
	rejectedBytesMax = 64 << 10
	readBytes        = 256 << 10
)

// lineReader splits a stream at line feeds, carriage returns and both together,
// in bounded memory.
type lineReader struct {
	r        io.Reader
	max      int
	buf      []byte
	from, to int
	scanned  int // bytes after from known to hold no line end
	skipLF   bool
	err      error
}

func newLineReader(r io.Reader, max int) *lineReader {
	return &lineReader{r: r, max: max, buf: make([]byte, min(readBytes, max+1))}
}

// next gives the next line without its end, valid until the next call. Of a
// line over the limit it gives the beginning, and long. After the last line the
// error is io.EOF. A line cut off by a read error is not given.
func (l *lineReader) next() (line []byte, long bool, err error) {
	for {
		if l.skipLF && l.from < l.to {
			if l.buf[l.from] == '\n' {
				l.from++
			}
			l.skipLF = false
		}
		if i := lineEnd(l.buf[l.from+l.scanned : l.to]); i >= 0 {
			line = l.buf[l.from : l.from+l.scanned+i]
			l.skip(len(line))
			return line, false, nil
		}
		l.scanned = l.to - l.from
		if l.err != nil {
			if l.err == io.EOF && l.scanned > 0 {
				line = l.buf[l.from:l.to]
				l.from, l.scanned = l.to, 0
				return line, false, nil
			}
			return nil, false, l.err
		}
		if l.scanned > l.max {
			head := append([]byte(nil), l.buf[l.from:l.from+min(rejectedBytesMax, l.max)]...)
			return head, true, l.discard()
		}
		l.fill()
	}
}

// discard drops the rest of a line; the end of the stream ends it as well.
func (l *lineReader) discard() error {
	for {
		if i := lineEnd(l.buf[l.from+l.scanned : l.to]); i >= 0 {
			l.skip(l.scanned + i)
			return nil
		}
		l.from, l.to, l.scanned = 0, 0, 0
		if l.err == io.EOF {
			return nil
		}
		if l.err != nil {
			return l.err
		}
		l.fill()
	}
}

// skip goes past n bytes and the line end after them.
func (l *lineReader) skip(n int) {
	l.skipLF = l.buf[l.from+n] == '\r'
	l.from += n + 1
	l.scanned = 0
}

func (l *lineReader) fill() {
	if l.from > 0 && (l.from == l.to || l.to == len(l.buf)) {
		l.to = copy(l.buf, l.buf[l.from:l.to])
		l.from = 0
	}
	if l.to == len(l.buf) {
		l.buf = append(l.buf, make([]byte, len(l.buf))...)
	}
	n := 0
	for tries := 0; n == 0 && l.err == nil; tries++ {
		if tries == 100 {
			l.err = io.ErrNoProgress
			return
		}
		n, l.err = l.r.Read(l.buf[l.to:])
	}
	l.to += n
}

// lineEnd finds the first line feed or carriage return.
func lineEnd(b []byte) int {
	feed := bytes.IndexByte(b, '\n')
	if feed >= 0 {
		b = b[:feed]
	}
	if r := bytes.IndexByte(b, '\r'); r >= 0 {
		return r
	}
	return feed
}
