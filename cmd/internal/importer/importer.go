// Package importer sends logs to a node as events. Reading, parsing and sending
// run side by side with at most a few batches in memory, however long the log.
// Every event carries an id made of its line, so that sending anything twice,
// by a retry or a second import, changes nothing; the importer never invents a
// view and never loses a line without saying so. Start at Run.
package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"footfall/cmd/internal/logformat"
)

// Format says what the lines are.
type Format string

const (
	Combined Format = "combined" // as Apache and nginx write them
	Common   Format = "common"   // the same without referrer and user agent
	NDJSON   Format = "ndjson"   // one event per line, as POST /v1/events takes it
)

// Node takes a batch; it is implemented by package client.
type Node interface {
	Send(ctx context.Context, method, path string, header http.Header, body []byte) ([]byte, error)
}

// Progress is told how far the import is. Its methods are called from several
// goroutines.
type Progress interface {
	Read(bytes int64)  // bytes of the files as they are on disk
	Done(lines int64)  // lines whose fate is known
	Notice(why string) // something the user should know now
}

// Options say what to import and how.
type Options struct {
	Site      string // domain
	Format    Format
	Zone      *time.Location // of dates without an offset; nil: such lines are rejected
	AllPaths  bool           // static files are pages too
	KeepBots  bool           // count views of bots as well
	BatchSize int            // events sent at once; 0 is 2,000

	Stdin    io.Reader // for the input "-"
	Rejected string    // path of the file of rejected lines; "" is the first input's path and ".rejected"
	Patience time.Duration

	Node     Node
	Progress Progress
	Now      func() time.Time                           // for Patience
	Wait     func(context.Context, time.Duration) error // returns early with ctx's error
	Jitter   func() float64                             // in [0, 1)
}

// Result counts what became of the lines. Lines is the sum of all the others:
// Views, Events, Duplicates, Dropped and RejectedLines.
type Result struct {
	Lines      int64            `json:"lines"`
	Views      int64            `json:"views"`            // page views counted now
	Events     int64            `json:"events,omitempty"` // other events counted now; ndjson only
	Duplicates int64            `json:"duplicates"`       // counted before
	Dropped    map[string]int64 `json:"dropped"`          // by reason
	Rejected   int64            `json:"rejected"`         // lines that make no sense
	// RejectedFile holds the rejected lines with their numbers and what is wrong
	// with each; "" when there are none.
	RejectedFile string `json:"rejected_file,omitempty"`
	// Resent counts duplicates of batches that had to be sent twice because the
	// first answer was lost: this import may have counted them itself.
	Resent int64 `json:"resent,omitempty"`
	// Token makes queries wait for the last batch.
	Token string `json:"token,omitempty"`
}

const (
	batchSizeDefault = 2000
	batchBytesMax    = 8 << 20 // of JSON, and of raw lines kept
)

// Run imports the inputs in order: paths of files, plain or compressed by gzip
// or zstd, and "-". The result is right also when there is an error: it counts
// the lines whose fate is known. The same call made again goes on where an
// interrupted one ended.
func Run(ctx context.Context, inputs []string, o Options) (Result, error) {
	if o.BatchSize <= 0 {
		o.BatchSize = batchSizeDefault
	}
	switch o.Format {
	case Combined, Common, NDJSON:
	default:
		return Result{}, fmt.Errorf("format: %q is none of combined, common, ndjson", o.Format)
	}
	if len(inputs) == 0 {
		return Result{}, errors.New("file: none given")
	}
	s := newSender(inputs, o)
	full, empty := make(chan *batch), make(chan *batch, 3)
	for range cap(empty) {
		empty <- &batch{}
	}
	group, ctx := errgroup.WithContext(ctx)
	var readErr error // does not end the group: what was read is still sent
	group.Go(func() error {
		defer close(full)
		readErr = readAll(ctx, inputs, o, full, empty)
		return nil
	})
	group.Go(func() error {
		for b := range full {
			if err := s.send(ctx, b); err != nil {
				return err
			}
			b.reset()
			empty <- b
		}
		return nil
	})
	err := group.Wait()
	if err == nil {
		err = readErr
	}
	if closeErr := s.rejected.close(); err == nil {
		err = closeErr
	}
	return s.result, err
}

// readAll turns lines into batches. What was read whole before an error is
// still sent.
func readAll(ctx context.Context, inputs []string, o Options, full chan<- *batch, empty <-chan *batch) error {
	e := newEncoder(o)
	take := func() (*batch, error) {
		select {
		case b := <-empty:
			return b, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	hand := func(b *batch) error {
		select {
		case full <- b:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	b, err := take()
	if err != nil {
		return err
	}
	for i, path := range inputs {
		readErr := eachLine(path, o.Stdin, o.Progress, func(number int64, line []byte, long bool) error {
			e.add(b, int32(i), number, line, long)
			if !b.full(o.BatchSize) {
				return nil
			}
			if err := hand(b); err != nil {
				return err
			}
			b, err = take()
			return err
		})
		if readErr != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return errors.Join(readErr, hand(b))
		}
	}
	return hand(b)
}

// eachLine opens an input and calls fn for its lines, counted from 1. line is
// valid during the call.
func eachLine(path string, stdin io.Reader, progress Progress, fn func(number int64, line []byte, long bool) error) error {
	in, err := open(path, stdin, progress)
	if err != nil {
		return err
	}
	defer in.Close()
	lines := newLineReader(in, lineBytesMax)
	for number := int64(1); ; number++ {
		line, long, err := lines.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s after line %d: %w", path, number-1, err)
		}
		if err := fn(number, line, long); err != nil {
			return err
		}
	}
}

// skips are the reasons of the log's own rule, in the order of batch.skipped.
var skips = [...]logformat.Skip{logformat.SkipMethod, logformat.SkipStatus, logformat.SkipAsset, skipBlank}

// skipBlank is an empty line between events; only NDJSON has such.
const skipBlank logformat.Skip = "blank"
