package placement

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"footfall/analytics"
)

// Command is a change with the time of the log entry that makes it, Unix ms.
type Command struct {
	At     int64
	Change Change
}

// Change is one of the changes of this package; see change.go.
type Change interface {
	// Check refuses what is wrong whatever the state is.
	Check() error
	kind() kind
	apply(s *State, at int64) Result
}

// Result is what became of a command. With Err set nothing changed.
type Result struct {
	Node    *Node     // of AddNode, UpdateNode, SetNodeState
	Salt    *Salt     // of ChooseSalt: what holds, also when it was refused
	Refused []Refusal // of PlanShards: the items that were not taken
	Err     error
}

// Refusal tells why an item of a PlanShards was not taken.
type Refusal struct {
	Shard uint16
	Err   error
}

type kind byte

// The numbers are in the log and frozen; new ones go at the end.
const (
	kindFound kind = iota + 1
	kindAddNode
	kindUpdateNode
	kindSetNodeState
	kindSetReplicas
	kindPlanShards
	kindNoteShards
	kindChooseSalt
	kindRetireSalts
	kindRaiseGate
)

func newChange(k kind) Change {
	switch k {
	case kindFound:
		return &Found{}
	case kindAddNode:
		return &AddNode{}
	case kindUpdateNode:
		return &UpdateNode{}
	case kindSetNodeState:
		return &SetNodeState{}
	case kindSetReplicas:
		return &SetReplicas{}
	case kindPlanShards:
		return &PlanShards{}
	case kindNoteShards:
		return &NoteShards{}
	case kindChooseSalt:
		return &ChooseSalt{}
	case kindRetireSalts:
		return &RetireSalts{}
	case kindRaiseGate:
		return &RaiseGate{}
	}
	return nil
}

// A command's bytes:
//
//	version(1) kind(1) at(8, big-endian) change(JSON)
//
// The version has its highest bit set, which tells a command of placement from
// one of accounts in the log that both share. A version or kind that is not
// known here was written by a newer release. It is refused, never passed over.
const commandVersion = 0x81

// Mine tells whether b is a command of this package, of any version.
func Mine(b []byte) bool { return len(b) > 0 && b[0]&0x80 != 0 }

// Append appends the command's bytes to dst.
func (c Command) Append(dst []byte) ([]byte, error) {
	body, err := json.Marshal(c.Change)
	if err != nil {
		return nil, fmt.Errorf("encode placement command of kind %d: %w", c.Change.kind(), err)
	}
	dst = append(dst, commandVersion, byte(c.Change.kind()))
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.At))
	return append(dst, body...), nil
}

// DecodeCommand reads what Append wrote.
func DecodeCommand(b []byte) (Command, error) {
	if len(b) < 10 {
		return Command{}, fmt.Errorf("decode placement command: %d bytes are too short", len(b))
	}
	if b[0] != commandVersion {
		return Command{}, fmt.Errorf("decode placement command: format %d is not known to this release, which knows %d", b[0], commandVersion)
	}
	change := newChange(kind(b[1]))
	if change == nil {
		return Command{}, fmt.Errorf("decode placement command: kind %d is not known to this release", b[1])
	}
	if err := strictJSON(b[10:], change); err != nil {
		return Command{}, fmt.Errorf("decode placement command of kind %d: %w", b[1], err)
	}
	return Command{At: int64(binary.BigEndian.Uint64(b[2:])), Change: change}, nil
}

func invalid(format string, args ...any) error {
	return analytics.Errorf(analytics.Invalid, format, args...)
}

func conflict(format string, args ...any) error {
	return analytics.Errorf(analytics.Conflict, format, args...)
}

func refused(err error) Result { return Result{Err: err} }
