package importer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// decompressedMemoryMax bounds the window a zstd file may ask for.
const decompressedMemoryMax = 256 << 20

// open gives the plain content of an input. Compression is told by the first
// bytes, so that it works for standard input and odd names as well.
func open(path string, stdin io.Reader, progress Progress) (io.ReadCloser, error) {
	source := io.NopCloser(stdin)
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("file: %w", err)
		}
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return nil, errors.Join(fmt.Errorf("file: %s is a directory", path), f.Close())
		}
		source = f
	} else if stdin == nil {
		return nil, errors.New("file: no standard input to read")
	}
	in := bufio.NewReaderSize(&counted{source, progress}, readBytes)
	magic, err := in.Peek(4)
	if err != nil && err != io.EOF {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), source.Close())
	}
	switch {
	case len(magic) >= 2 && magic[0] == 0x1f && magic[1] == 0x8b:
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("read %s as gzip: %w", path, err), source.Close())
		}
		return &stack{z, z.Close, source.Close}, nil
	case string(magic) == "\x28\xb5\x2f\xfd":
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(decompressedMemoryMax))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("read %s as zstd: %w", path, err), source.Close())
		}
		return &stack{z, func() error { z.Close(); return nil }, source.Close}, nil
	}
	return &stack{in, nil, source.Close}, nil
}

// stack is a reader over another, closed from the top.
type stack struct {
	io.Reader
	top, bottom func() error
}

func (s *stack) Close() error {
	var err error
	if s.top != nil {
		err = s.top()
	}
	return errors.Join(err, s.bottom())
}

// counted tells the progress what was read.
type counted struct {
	r        io.Reader
	progress Progress
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.progress.Read(int64(n))
	return n, err
}
