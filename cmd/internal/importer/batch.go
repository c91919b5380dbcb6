package importer

import "footfall/cmd/internal/logformat"

// batch is a run of consecutive lines: the events to send and what is already
// known of the other lines. It is used by one goroutine at a time.
type batch struct {
	lines   int64
	body    []byte // JSON array without its last bracket; empty without events
	events  []event
	raw     []byte // the events' lines, to show those that the node rejects
	skipped [len(skips)]int64
	refused []refusal
	held    int // bytes of lines in refused
}

// event is where an event of the body came from.
type event struct {
	input    int32
	line     int64
	from, to int // in batch.raw
	view     bool
}

// refusal is a line for the file of rejected lines.
type refusal struct {
	input int32
	line  int64
	why   string
	raw   []byte
}

func (b *batch) reset() {
	refused := b.refused[:0]
	clear(b.refused)
	*b = batch{body: b.body[:0], events: b.events[:0], raw: b.raw[:0], refused: refused}
}

func (b *batch) full(size int) bool {
	return len(b.events) >= size || len(b.refused) >= size || len(b.body) >= batchBytesMax || len(b.raw) >= batchBytesMax || b.held >= batchBytesMax
}

func (b *batch) skip(why logformat.Skip) {
	for i, s := range skips {
		if s == why {
			b.skipped[i]++
			return
		}
	}
	panic("no such reason to skip: " + string(why))
}

// reject keeps a copy of the line, shortened when it is very long.
func (b *batch) reject(input int32, line int64, why string, raw []byte) {
	if len(raw) > rejectedBytesMax {
		raw = raw[:rejectedBytesMax]
	}
	b.refused = append(b.refused, refusal{input, line, why, append([]byte(nil), raw...)})
	b.held += len(raw)
}

// begin starts the next event in the body.
func (b *batch) begin() {
	if len(b.events) == 0 {
		b.body = append(b.body[:0], '[')
	} else {
		b.body = append(b.body, ',')
	}
}

// end completes the event that begin started.
func (b *batch) end(input int32, line int64, raw []byte, view bool) {
	from := len(b.raw)
	b.raw = append(b.raw, raw...)
	b.events = append(b.events, event{input, line, from, len(b.raw), view})
}
