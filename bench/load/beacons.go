package load

import (
	"bytes"
	"time"

	"footfall/bench/dialect"
	"footfall/bench/ledger"
	"footfall/bench/visitors"
)

// beacons is the source of views and events of one connection.
type beacons struct {
	source *visitors.Source
	writer *dialect.Writer
	ledger *ledger.Ledger // nil: no account is kept
	events []visitors.Event
	native bool
}

func newBeacons(w *visitors.World, l *ledger.Ledger, n int) (*beacons, error) {
	writer, err := dialect.New(w)
	if err != nil {
		return nil, err
	}
	return &beacons{source: visitors.NewSource(w, n), writer: writer, ledger: l,
		events: make([]visitors.Event, w.Scenario.Array), native: w.Scenario.Dialect == "native"}, nil
}

// Next lets visitors do things until a request is full.
func (b *beacons) Next(due time.Duration) {
	for i := range b.events {
		b.events[i] = b.source.Next(due)
	}
}

// Append writes the request.
func (b *beacons) Append(dst []byte, t *Target) []byte {
	return b.writer.Append(dst, &t.To, b.events)
}

// fate is what a server said of an event.
type fate uint8

const (
	counted fate = iota
	dropped      // by a rule, for good
	unknown      // it may be counted or not
	refused      // it is not counted
)

// Done books the events of a request.
func (b *beacons) Done(o *Outcome) {
	all := counted
	switch {
	case o.Status >= 200 && o.Status < 300:
		o.Views = len(b.events)
		if b.native {
			b.each(o)
			return
		}
		if o.Dropped > 0 {
			all = dropped
			o.ViewDropped = len(b.events)
		}
	case o.Status >= 500, o.Status == 0 && o.Sent:
		all = unknown // the time for the answer was over, but perhaps not the work
	default:
		all = refused
	}
	for i := range b.events {
		b.book(i, all)
	}
}

func (b *beacons) book(i int, f fate) {
	e := &b.events[i]
	if b.ledger == nil || e.Kind == visitors.Engagement {
		return
	}
	switch f {
	case counted:
		b.ledger.Acknowledge(e.Site, e.Page, e.Kind == visitors.View)
	case unknown:
		b.ledger.Doubt(e.Site, e.Page, e.Kind == visitors.View)
	}
}

var (
	statusKey   = []byte(`{"status":"`)
	rejected    = []byte(`rejected"`)
	unavailable = []byte(`,"reason":"unavailable`)
	noneWrong   = []byte(`,"rejected":0,`)
)

// each reads what became of every event of an array. The form is the one that
// Footfall writes; an answer in another one is about none of them.
func (b *beacons) each(o *Outcome) {
	body := o.Body
	allGood := bytes.Contains(body[max(0, len(body)-4096):], noneWrong)
	for i := range b.events {
		if allGood {
			b.book(i, counted)
			continue
		}
		at := bytes.Index(body, statusKey)
		if at < 0 {
			b.book(i, unknown)
			continue
		}
		body = body[at+len(statusKey):]
		switch rest, wrong := bytes.CutPrefix(body, rejected); {
		case !wrong:
			b.book(i, counted)
		case bytes.HasPrefix(rest, unavailable):
			b.book(i, unknown)
		default:
			o.ViewDropped++
			b.book(i, dropped)
		}
	}
}
