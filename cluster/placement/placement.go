// Package placement is where everything stands in a cluster: its nodes, the
// replicas of every shard and of the control group, the salts in force. It has
// two parts. State is a state machine that the control group replicates beside
// the accounts: it holds the table, which is intent, and what raft reported
// last, which is the truth. Plan looks at a View of it and at the reports of the
// nodes and gives the next safe steps, one per shard.
//
// Nothing here does I/O, reads a clock, uses randomness, starts a goroutine or
// depends on the order of a map. A plan never asks for an even number of voters,
// never takes a voter away when the rest that is alive would lack a quorum, and
// a replica id is never given twice. Start at State.Apply and Plan; package
// controller carries the steps out.
package placement

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"footfall/analytics"
)

// Control is the group of accounts and placement itself; its record stands
// beside those of the shards.
const Control uint16 = 0xFFFF

// NormalWeight is the weight of an ordinary node.
const NormalWeight = 100

// ID names a cluster or a salt: random bytes. Its text form is hexadecimal.
type ID [16]byte

// MarshalText gives 32 hexadecimal digits.
func (id ID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText reads what MarshalText wrote.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) != 2*len(id) {
		return analytics.Errorf(analytics.Invalid, "id: must have %d hexadecimal digits", 2*len(id))
	}
	if _, err := hex.Decode(id[:], text); err != nil {
		return analytics.Errorf(analytics.Invalid, "id: %w", err)
	}
	return nil
}

func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Roles is what a node does. Its text form lists names, as in "edge,data".
type Roles uint8

// The roles of a node.
const (
	RoleEdge Roles = 1 << iota // takes views and questions
	RoleData                   // may hold replicas of shards and vote in the control group
)

// ParseRoles reads a list such as "edge,data".
func ParseRoles(text string) (Roles, error) {
	var r Roles
	for name := range strings.SplitSeq(text, ",") {
		switch strings.TrimSpace(name) {
		case "edge":
			r |= RoleEdge
		case "data":
			r |= RoleData
		default:
			return 0, analytics.Errorf(analytics.Invalid, "roles: %q is not edge or data", name)
		}
	}
	return r, nil
}

func (r Roles) String() string {
	var names []string
	if r&RoleEdge != 0 {
		names = append(names, "edge")
	}
	if r&RoleData != 0 {
		names = append(names, "data")
	}
	return strings.Join(names, ",")
}

// MarshalText gives the list of names.
func (r Roles) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (r *Roles) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*r = 0
		return nil
	}
	*r, err = ParseRoles(string(text))
	return err
}

// NodeState is where a node is in its life.
type NodeState string

// The states of a node. Removed is the end: the node's disk never serves again.
const (
	Joining  NodeState = "joining"  // known, about to follow the control group
	Active   NodeState = "active"   // may be given replicas and leaders
	Draining NodeState = "draining" // serves, and everything leaves it
	Dead     NodeState = "dead"     // was not heard of for long; its replicas are replaced
	Removed  NodeState = "removed"
)

func (s NodeState) known() bool {
	return slices.Contains([]NodeState{Joining, Active, Draining, Dead, Removed}, s)
}

// Cluster is what is one for all.
type Cluster struct {
	ID       ID     `json:"id"`
	Shards   int    `json:"shards"`
	Replicas int    `json:"replicas"` // voters that a shard is to have: 1, 3 or 5
	Gate     uint32 `json:"gate"`     // the newest formats that may be written
	Founded  int64  `json:"founded"`  // Unix ms
	NextNode uint16 `json:"next_node"`
}

// Node is a node, or what is left to know of one that was removed.
type Node struct {
	Number  uint16    `json:"number"`
	Ident   uint64    `json:"ident,string"` // of its disk; also the edge id of its producer streams
	Name    string    `json:"name"`
	Zone    string    `json:"zone,omitempty"`
	Region  string    `json:"region,omitempty"`
	Cluster string    `json:"cluster"` // host:port of the cluster port
	HTTP    string    `json:"http"`    // host:port
	Roles   Roles     `json:"roles"`
	Weight  int       `json:"weight"` // NormalWeight is ordinary; twice as much takes twice the shards
	State   NodeState `json:"state"`
	Since   int64     `json:"since"`  // of State, Unix ms
	Joined  int64     `json:"joined"` // Unix ms
	Version string    `json:"version,omitempty"`
	GateMax uint32    `json:"gate_max"`           // the newest formats it can read
	Epoch   uint32    `json:"epoch,omitempty"`    // of its producer streams, the last one seen
	EpochAt int64     `json:"epoch_at,omitempty"` // when that one was first seen, Unix ms
}

// Data tells whether the node may hold replicas at all.
func (n *Node) Data() bool { return n.Roles&RoleData != 0 }

// Role is a replica's part in its group.
type Role string

// The roles of a replica.
const (
	Voter   Role = "voter"
	Learner Role = "learner"
)

// NodeOf gives the node of a replica: a replica id is serial<<16 | node.
func NodeOf(replica uint64) uint16 { return uint16(replica) }

// ReplicaID makes a replica id.
func ReplicaID(serial uint64, node uint16) uint64 { return serial<<16 | uint64(node) }

// Member is a replica of a group. Invariant: Node == NodeOf(Replica).
type Member struct {
	Node    uint16 `json:"node"`
	Replica uint64 `json:"replica"`
	Role    Role   `json:"role"`
}

// Shard is a group's place. Members and ConfIndex are what its leader reported
// last, Op is what is intended.
type Shard struct {
	ID         uint16   `json:"id"`
	Rev        uint64   `json:"rev"` // rises with every change of this record
	Members    []Member `json:"members"`
	ConfIndex  uint64   `json:"conf_index"`
	NextSerial uint64   `json:"next_serial"` // of the next replica; ids are never given again
	Op         *Op      `json:"op,omitempty"`
	GivenUp    int64    `json:"given_up,omitempty"` // when an Op was last given up, Unix ms
}

// OpKind says for people why a group's members change.
type OpKind string

// The kinds of operations.
const (
	OpGrow    OpKind = "grow"    // more voters
	OpShrink  OpKind = "shrink"  // fewer voters
	OpReplace OpKind = "replace" // of a replica that is dead or damaged
	OpDrain   OpKind = "drain"   // away from a node that is to leave
	OpSpread  OpKind = "spread"  // to another zone
	OpBalance OpKind = "balance" // to a node that has less
	OpMove    OpKind = "move"    // by an operator
	OpClean   OpKind = "clean"   // learners that nobody wants
	OpFollow  OpKind = "follow"  // a node is to follow the control group
	OpVoters  OpKind = "voters"  // of the control group
)

// Op is one change of a group's members: Add become learners first, all others
// in one joint change when those are caught up.
type Op struct {
	Kind      OpKind   `json:"kind"`
	Add       []Member `json:"add,omitempty"` // new replicas with the role they are to have at the end
	Promote   []uint64 `json:"promote,omitempty"`
	Demote    []uint64 `json:"demote,omitempty"`
	Remove    []uint64 `json:"remove,omitempty"`
	Since     int64    `json:"since"`      // Unix ms
	ConfIndex uint64   `json:"conf_index"` // the configuration that it was planned from
}

// Done tells whether a configuration is what the operation wanted.
func (o *Op) Done(members []Member) bool {
	role := func(replica uint64) Role {
		for _, m := range members {
			if m.Replica == replica {
				return m.Role
			}
		}
		return ""
	}
	for _, m := range o.Add {
		if role(m.Replica) != m.Role {
			return false
		}
	}
	for _, r := range o.Promote {
		if role(r) != Voter {
			return false
		}
	}
	for _, r := range o.Demote {
		if role(r) != Learner {
			return false
		}
	}
	for _, r := range o.Remove {
		if role(r) != "" {
			return false
		}
	}
	return true
}

// after gives the members that the operation leads to.
func (o *Op) after(members []Member) []Member {
	var out []Member
	for _, m := range members {
		switch {
		case slices.Contains(o.Remove, m.Replica):
			continue
		case slices.Contains(o.Promote, m.Replica):
			m.Role = Voter
		case slices.Contains(o.Demote, m.Replica):
			m.Role = Learner
		}
		if i := slices.IndexFunc(o.Add, func(a Member) bool { return a.Replica == m.Replica }); i >= 0 {
			continue
		}
		out = append(out, m)
	}
	return append(out, o.Add...)
}

// Intended gives the members that the group will have when its operation, if
// any, is done.
func (s *Shard) Intended() []Member {
	if s.Op == nil {
		return s.Members
	}
	return s.Op.after(s.Members)
}

// On tells whether node has a replica now or is about to.
func (s *Shard) On(node uint16) bool {
	on := func(m Member) bool { return m.Node == node }
	return slices.ContainsFunc(s.Members, on) || s.Op != nil && slices.ContainsFunc(s.Op.Add, on)
}

// Voters gives the replicas that vote, as noted last.
func (s *Shard) Voters() []Member { return voters(s.Members) }

func voters(members []Member) []Member {
	var out []Member
	for _, m := range members {
		if m.Role == Voter {
			out = append(out, m)
		}
	}
	return out
}

// GroupName names a group for people.
func GroupName(id uint16) string {
	if id == Control {
		return "the control group"
	}
	return "shard " + strconv.Itoa(int(id))
}
