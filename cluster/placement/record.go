package placement

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// Ref names one record of a state, as accounts.Ref does; the kinds of both
// share one table, those of placement lie between RefFirst and RefLast.
type Ref struct {
	Kind byte
	ID   uint64
}

// Kinds of records. The numbers are on disk and frozen; new ones go at the end.
const (
	RefCluster byte = 0x40 + iota // ID 0
	RefNode                       // ID is the number
	RefShard                      // ID is the group
	RefSalt                       // ID is family<<32 | period

	RefFirst = RefCluster
	RefLast  = 0x5f
)

// recordVersion is the first byte of every record; JSON follows.
const recordVersion = 1

// TakeDirty gives the records that changed since it was called last, in order,
// and forgets them. Their bytes are what Record of a view taken at the same time
// gives.
func (s *State) TakeDirty() []Ref {
	out := make([]Ref, 0, len(s.dirty))
	for r := range s.dirty {
		out = append(out, r)
	}
	s.dirty = map[Ref]struct{}{}
	slices.SortFunc(out, func(a, b Ref) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Record gives the bytes of a record; nil means that it is to be deleted.
func (v *View) Record(r Ref) ([]byte, error) {
	var body any
	switch r.Kind {
	case RefCluster:
		if v.cluster != nil {
			body = v.cluster
		}
	case RefNode:
		if n, ok := v.Node(uint16(r.ID)); ok {
			body = n
		}
	case RefShard:
		if s, ok := v.Shard(uint16(r.ID)); ok {
			body = s
		}
	case RefSalt:
		if s, ok := v.Salt(Family(r.ID>>32), uint32(r.ID)); ok {
			body = s
		}
	default:
		return nil, fmt.Errorf("encode placement record: kind %d is not known", r.Kind)
	}
	if body == nil {
		return nil, nil
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode placement record %d/%d: %w", r.Kind, r.ID, err)
	}
	return append([]byte{recordVersion}, text...), nil
}

// Refs names all records in order.
func (v *View) Refs() []Ref {
	var out []Ref
	if v.cluster != nil {
		out = append(out, Ref{Kind: RefCluster})
	}
	for _, n := range v.nodes {
		out = append(out, Ref{RefNode, nodeKey(n)})
	}
	for _, s := range v.shards {
		out = append(out, Ref{RefShard, shardKey(s)})
	}
	for _, s := range v.salts {
		out = append(out, Ref{RefSalt, saltOf(s)})
	}
	return out
}

// Restore puts back a record, in any order, into a state that applied nothing
// yet. A format that is not known is an error.
func (s *State) Restore(r Ref, b []byte) error {
	if len(b) == 0 {
		return fmt.Errorf("read placement record %d/%d: it is empty", r.Kind, r.ID)
	}
	if b[0] != recordVersion {
		return fmt.Errorf("read placement record %d/%d: format %d is not known to this release, which knows %d", r.Kind, r.ID, b[0], recordVersion)
	}
	id, err := s.restore(r.Kind, b[1:])
	if err != nil {
		return fmt.Errorf("read placement record %d/%d: %w", r.Kind, r.ID, err)
	}
	if id != r.ID {
		return fmt.Errorf("read placement record %d/%d: it says its id is %d", r.Kind, r.ID, id)
	}
	return nil
}

func (s *State) restore(kind byte, body []byte) (uint64, error) {
	switch kind {
	case RefCluster:
		c := &Cluster{}
		if err := strictJSON(body, c); err != nil {
			return 0, err
		}
		s.view.cluster = c
		return 0, nil
	case RefNode:
		n := &Node{}
		if err := strictJSON(body, n); err != nil {
			return 0, err
		}
		s.view.nodes = put(s.view.nodes, n, nodeKey)
		return nodeKey(n), nil
	case RefShard:
		x := &Shard{}
		if err := strictJSON(body, x); err != nil {
			return 0, err
		}
		s.view.shards = put(s.view.shards, x, shardKey)
		return shardKey(x), nil
	case RefSalt:
		x := &Salt{}
		if err := strictJSON(body, x); err != nil {
			return 0, err
		}
		s.view.salts = put(s.view.salts, x, saltOf)
		return saltOf(x), nil
	}
	return 0, fmt.Errorf("the kind is not known to this release")
}

// strictJSON reads one JSON value and refuses unknown fields and anything after
// it.
func strictJSON(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("there is something after the value")
	}
	return nil
}
