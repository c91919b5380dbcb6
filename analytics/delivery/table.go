// Package delivery decides which batches of a shard's log count. Each edge
// numbers what it sends to a shard, from 1 in each of its epochs; the Table of
// the shard applies every number once and in order, whatever is sent twice,
// lost, overtaken or sent by a process that was thought dead.
//
// It is pure: what a Table decides depends on the entries given to it and
// nothing else, so that all replicas decide alike. It must be kept as of exactly
// the log index from which a replay starts: one that is newer takes entries for
// duplicates that were lost, one that is older counts entries twice. Start at
// Table.Decide.
package delivery

import (
	"footfall/analytics"
	"footfall/analytics/column"
)

// Bounds of a table.
const (
	EdgesMax   = 10_000 // edges known at a time
	IdleDays   = 30     // after which an edge is forgotten, by shard time
	idleMS     = IdleDays * column.DayMS
	pastDigest = 64 // digests remembered
)

// Verdict is what becomes of an entry. The numbers cross the wire and are
// frozen; new ones go at the end.
type Verdict uint8

const (
	// Apply: the entry is next and counts.
	Apply Verdict = iota
	// Duplicate: it counted before; for its sender that is as good as now.
	Duplicate
	// Gap: an earlier one is missing; nothing counts before Expected came.
	Gap
	// Fenced: the edge has begun a later epoch, Decision.Epoch.
	Fenced
	// Full: the edge is not known and there is no room for another.
	Full
)

// String names a verdict.
func (v Verdict) String() string {
	if int(v) < len(verdicts) {
		return verdicts[v]
	}
	return "unknown"
}

var verdicts = [...]string{"apply", "duplicate", "gap", "fenced", "full"}

// Decision is what a Table says of an entry.
type Decision struct {
	Verdict  Verdict
	Expected uint64 // Gap: the sequence that would have been next
	Epoch    uint32 // Fenced and Gap: the epoch of the edge that the table knows, 0 if none
}

// Entry is what a Table must know of a log entry.
type Entry struct {
	Index    uint64 // in the log
	Edge     uint64
	Epoch    uint32 // 0: not numbered, always applied
	Sequence uint64
	Time     int64 // Unix ms, on the edge's clock
}

// Outcome is what became of an entry once the sites have applied it. Reasons has
// one element for each item of an entry that counts, nil for any other; an empty
// reason is not known any more.
type Outcome struct {
	Decision Decision
	Reasons  []analytics.Reason
}

// row is what is known of an edge.
type row struct {
	edge  uint64
	seq   uint64 // last applied of the epoch
	index uint64 // log index of that entry
	last  int64  // shard time of that entry
	epoch uint32
}

// digest is the table's digest as of an index.
type digest struct{ index, sum uint64 }

// Table is the delivery state of one shard. The zero Table is that of an empty
// log. Not safe for concurrent use.
type Table struct {
	index uint64 // of the last entry decided on
	time  int64  // greatest time of any entry that counted
	swept int32  // day on which idle edges were last looked for
	sum   uint64 // digest as of index

	rows   []row
	at     map[uint64]int32 // edge -> row; nil: not made yet
	recent int32            // row used last

	past [pastDigest]digest // ring, newest at the place before next
	next int
}

// Index is the log index of the last entry decided on, 0 if there was none.
func (t *Table) Index() uint64 { return t.index }

// Time is the shard time in Unix ms: the greatest time of any entry that
// counted. It never goes back.
func (t *Table) Time() int64 { return t.time }

// Edges is how many edges are known.
func (t *Table) Edges() int { return len(t.rows) }

// Decide says what becomes of an entry and takes note of it. Entries come in log
// order; e.Index is above Index.
func (t *Table) Decide(e Entry) Decision {
	d := t.decide(e)
	t.index = e.Index
	if d.Verdict == Apply {
		t.time = max(t.time, e.Time)
		if day := column.DayOf(t.time); day > t.swept {
			t.swept = day
			t.sweep()
		}
	}
	t.note(e, d)
	return d
}

func (t *Table) decide(e Entry) Decision {
	if e.Epoch == 0 {
		return Decision{Verdict: Apply}
	}
	i := t.find(e.Edge)
	if i < 0 {
		switch {
		case e.Sequence != 1:
			return Decision{Verdict: Gap, Expected: 1}
		case len(t.rows) >= EdgesMax:
			return Decision{Verdict: Full}
		}
		i = t.add(e.Edge)
	}
	r := &t.rows[i]
	switch {
	case e.Epoch < r.epoch:
		return Decision{Verdict: Fenced, Epoch: r.epoch}
	case e.Epoch > r.epoch && e.Sequence != 1:
		return Decision{Verdict: Gap, Expected: 1, Epoch: r.epoch}
	case e.Epoch > r.epoch:
	case e.Sequence <= r.seq:
		return Decision{Verdict: Duplicate}
	case e.Sequence > r.seq+1:
		return Decision{Verdict: Gap, Expected: r.seq + 1, Epoch: r.epoch}
	}
	r.epoch, r.seq, r.index, r.last = e.Epoch, e.Sequence, e.Index, max(t.time, e.Time)
	return Decision{Verdict: Apply}
}

// find gives the row of an edge, -1 if it is not known.
func (t *Table) find(edge uint64) int32 {
	if int(t.recent) < len(t.rows) && t.rows[t.recent].edge == edge {
		return t.recent
	}
	if t.at == nil {
		t.number()
	}
	i, ok := t.at[edge]
	if !ok {
		return -1
	}
	t.recent = i
	return i
}

func (t *Table) number() {
	t.at = make(map[uint64]int32, len(t.rows))
	for i := range t.rows {
		t.at[t.rows[i].edge] = int32(i)
	}
}

func (t *Table) add(edge uint64) int32 {
	t.rows = append(t.rows, row{edge: edge})
	t.recent = int32(len(t.rows) - 1)
	t.at[edge] = t.recent
	return t.recent
}

// sweep forgets edges that were idle for too long. It depends on the log alone:
// on the first entry of each day of shard time.
func (t *Table) sweep() {
	kept := t.rows[:0]
	for _, r := range t.rows {
		if r.last > t.time-idleMS {
			kept = append(kept, r)
		}
	}
	if len(kept) < len(t.rows) {
		t.rows, t.at, t.recent = kept, nil, 0
	}
}

// Clone gives a copy that nothing changes any more. It costs one copy of the
// rows, 40 bytes each.
func (t *Table) Clone() *Table {
	c := *t
	c.rows = append([]row(nil), t.rows...)
	c.at = nil
	return &c
}
