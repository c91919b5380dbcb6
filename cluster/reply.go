package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"footfall/analytics"
	"footfall/analytics/delivery"
)

// Verdict is what became of a batch that was sent to a shard's leader. The
// numbers cross the wire and are frozen; new ones go at the end.
type Verdict uint8

const (
	Applied   Verdict = iota // counted now
	Duplicate                // counted before
	Gap                      // refused: an earlier one is missing, Expected is next
	Fenced                   // refused: the edge has begun the later epoch Epoch
	NotLeader                // not taken: Leader may be the one, 0 if it is not known
	Busy                     // not taken: ask again a little later
	Lost                     // not known: it may or may not be taken
)

var verdictNames = [...]string{"applied", "duplicate", "gap", "fenced", "not leader", "busy", "lost"}

// String names a verdict; operators' tools go by the names.
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return "unknown"
}

// MarshalText gives the name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a name.
func (v *Verdict) UnmarshalText(text []byte) error {
	i := slices.Index(verdictNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("verdict %q: %w", text, ErrReply)
	}
	*v = Verdict(i)
	return nil
}

// Reply answers a batch. Index is the log index of the entry that was decided on.
type Reply struct {
	Verdict  Verdict
	Index    uint64
	Expected uint64
	Epoch    uint32
	Leader   uint16
	Reasons  []analytics.Reason // Applied: of each item
}

// replyOf translates what became of an entry.
func replyOf(index uint64, o delivery.Outcome) Reply {
	d := o.Decision
	rp := Reply{Index: index, Expected: d.Expected, Epoch: d.Epoch, Reasons: o.Reasons}
	switch d.Verdict {
	case delivery.Apply:
		rp.Verdict = Applied
	case delivery.Duplicate:
		rp.Verdict = Duplicate
	case delivery.Gap:
		rp.Verdict = Gap
	case delivery.Fenced:
		rp.Verdict = Fenced
	case delivery.Full:
		rp.Verdict = Busy
	}
	return rp
}

// The bytes of a reply, numbers little-endian:
//
//	version(1)=1 verdict(1) leader(2) epoch(4) index(8) expected(8) count(uvarint)
//	then runs of reasons, count in all: length(uvarint) reason(1), 255 for Undecided and 254 for an unknown one
const (
	replyVersion   = 1
	replyHeadLen   = 2 + 2 + 4 + 8 + 8
	replyUndecided = 255
	replyUnknown   = 254
	repliesMax     = 1 << 21 // items of a batch
)

// ErrReply means that bytes are not a reply of a known version.
var ErrReply = errors.New("reply: unknown or damaged format")

// Append appends the bytes of a reply.
func (rp *Reply) Append(dst []byte) []byte {
	le := binary.LittleEndian
	dst = append(dst, replyVersion, byte(rp.Verdict))
	dst = le.AppendUint16(dst, rp.Leader)
	dst = le.AppendUint32(dst, rp.Epoch)
	dst = le.AppendUint64(dst, rp.Index)
	dst = le.AppendUint64(dst, rp.Expected)
	dst = binary.AppendUvarint(dst, uint64(len(rp.Reasons)))
	for i := 0; i < len(rp.Reasons); {
		from, reason := i, rp.Reasons[i]
		for i < len(rp.Reasons) && rp.Reasons[i] == reason {
			i++
		}
		dst = binary.AppendUvarint(dst, uint64(i-from))
		dst = append(dst, reasonByte(reason))
	}
	return dst
}

func reasonByte(r analytics.Reason) byte {
	if r == analytics.Undecided {
		return replyUndecided
	}
	if i := slices.Index(analytics.Reasons, r); i >= 0 {
		return byte(i)
	}
	return replyUnknown
}

// ParseReply reads what Append made. A reason of a newer node is read as not
// known, a verdict of one is refused.
func ParseReply(b []byte) (Reply, error) {
	le := binary.LittleEndian
	if len(b) < replyHeadLen || b[0] != replyVersion || Verdict(b[1]) > Lost {
		return Reply{}, ErrReply
	}
	rp := Reply{Verdict: Verdict(b[1]), Leader: le.Uint16(b[2:]), Epoch: le.Uint32(b[4:]), Index: le.Uint64(b[8:]), Expected: le.Uint64(b[16:])}
	b = b[replyHeadLen:]
	count, l := binary.Uvarint(b)
	if l <= 0 || count > repliesMax {
		return Reply{}, ErrReply
	}
	b = b[l:]
	for left := count; left > 0; {
		n, l := binary.Uvarint(b)
		if l <= 0 || n == 0 || n > left || len(b) == l {
			return Reply{}, ErrReply
		}
		var reason analytics.Reason
		switch x := b[l]; {
		case x == replyUndecided:
			reason = analytics.Undecided
		case int(x) < len(analytics.Reasons):
			reason = analytics.Reasons[x]
		}
		for range n {
			rp.Reasons = append(rp.Reasons, reason)
		}
		left -= n
		b = b[l+1:]
	}
	if len(b) > 0 {
		return Reply{}, ErrReply
	}
	return rp, nil
}
