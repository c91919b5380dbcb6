package simulate

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// kind names what happened, for the trace.
type kind uint8

const (
	evStart kind = iota
	evCrash
	evJoin
	evAdd
	evRemove
	evRestore
	evSnapshot
	evLead
	evEntry
	evCommand
	evStep
	evSpool
	evFault
	evHeal
	evWipe
)

var kinds = [...]string{
	evStart:    "start: place %d, node %d, life %d",
	evCrash:    "power cut: place %d, node %d, %d commits not synced",
	evJoin:     "join: place %d is node %d",
	evAdd:      "replica made: node %d, group %d, id %#x",
	evRemove:   "replica destroyed: node %d, group %d, id %#x",
	evRestore:  "snapshot installed: node %d, group %d, as of %d",
	evSnapshot: "snapshot leaves: group %d, to replica %#x, as of %d",
	evLead:     "leader: node %d, group %d, term %d",
	evEntry:    "entry: shard %d, index %d, sequence %d",
	evCommand:  "command applied: node %d, index %d, kind %d",
	evStep:     "step of the plan: kind %d, group %d, node %d",
	evSpool:    "spooled: node %d, shard %d, %d batches",
	evFault:    "fault %d: %d, %d",
	evHeal:     "peace",
	evWipe:     "disk lost: place %d, node %d",
}

// traceMax is how many events a trace remembers.
const traceMax = 600

type traced struct {
	step    int64
	kind    kind
	a, b, c uint64
}

// note puts an event into the trace and its hash.
func (s *simulation) note(k kind, a, b, c uint64) {
	s.hash = mix(s.hash^uint64(s.step), uint64(k)) ^ mix(a, b) ^ mix(c, s.hash)
	s.trace[s.traced%traceMax] = traced{s.step, k, a, b, c}
	s.traced++
}

// last gives the newest events as text.
func (s *simulation) last() string {
	var b strings.Builder
	for i := max(0, s.traced-traceMax); i < s.traced; i++ {
		e := s.trace[i%traceMax]
		f := kinds[e.kind]
		args := []any{e.a, e.b, e.c}[:strings.Count(f, "%")]
		fmt.Fprintf(&b, "%9.2fs  "+f+"\n", append([]any{float64(e.step) / 100}, args...)...)
	}
	return b.String()
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xd1b54a32d192ed03)
	return hi ^ lo ^ bits.RotateLeft64(a, 17)
}

func sortedUints[V any](m map[uint64]V) []uint64 {
	keys := make([]uint64, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func sortedKeys(m map[offerKey]*offer) []offerKey {
	if len(m) == 0 {
		return nil
	}
	keys := make([]offerKey, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b offerKey) int {
		return cmp.Or(cmp.Compare(a.edge, b.edge), cmp.Compare(a.epoch, b.epoch), cmp.Compare(a.sequence, b.sequence))
	})
	return keys
}
