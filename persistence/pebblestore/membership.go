package pebblestore

import (
	"encoding/binary"
	"errors"
	"fmt"

	"footfall/persistence"
)

// Membership tells which place in which cluster a store has.
type Membership struct {
	// Cluster is the id that was drawn when the cluster was founded; not zero.
	Cluster [16]byte
	// Node is the number of the node in the cluster. 0: not given yet, the node is
	// joining.
	Node uint16
	// Incarnation is the owner's to count; it never falls.
	Incarnation uint64
}

// ErrMembership is wrapped by the error of a SetMembership that would take a
// store from one place to another.
var ErrMembership = errors.New("the store has another place")

// membershipLen and the layout: magic(4) version(4) cluster(16) node(2)
// incarnation(8) crc32c(4), big-endian.
const membershipLen = 4 + 4 + 16 + 2 + 8 + 4

const (
	membershipMagic   = "ffmb"
	membershipVersion = 1
)

var errMembershipDamaged = errors.New("membership record is damaged")

func membershipKey() []byte { return []byte{persistence.TableIdent, 1} }

func (m Membership) encode() []byte {
	b := append(make([]byte, 0, membershipLen), membershipMagic...)
	b = binary.BigEndian.AppendUint32(b, membershipVersion)
	b = append(b, m.Cluster[:]...)
	b = binary.BigEndian.AppendUint16(b, m.Node)
	b = binary.BigEndian.AppendUint64(b, m.Incarnation)
	return binary.BigEndian.AppendUint32(b, sum(b))
}

// decodeMembership looks at the version first, as decodeIdent does.
func decodeMembership(b []byte) (m Membership, err error) {
	if len(b) < 8 || string(b[:4]) != membershipMagic {
		return m, errMembershipDamaged
	}
	v := binary.BigEndian.Uint32(b[4:])
	if v > membershipVersion {
		return m, fmt.Errorf("membership record %d is newer than %d, the newest this version reads: use a newer version", v, membershipVersion)
	}
	if v == 0 || len(b) != membershipLen || sum(b[:membershipLen-4]) != binary.BigEndian.Uint32(b[membershipLen-4:]) {
		return m, errMembershipDamaged
	}
	copy(m.Cluster[:], b[8:])
	m.Node = binary.BigEndian.Uint16(b[24:])
	m.Incarnation = binary.BigEndian.Uint64(b[26:])
	if m.Cluster == [16]byte{} {
		return Membership{}, errMembershipDamaged
	}
	return m, nil
}

// Membership gives the place that SetMembership gave, false when it never did.
func (s *Store) Membership() (Membership, bool, error) {
	b, err := s.Get(membershipKey())
	if errors.Is(err, persistence.ErrNotFound) {
		return Membership{}, false, nil
	}
	if err != nil {
		return Membership{}, false, fmt.Errorf("read membership: %w", err)
	}
	m, err := decodeMembership(b)
	return m, err == nil, err
}

// SetMembership keeps the place for ever: once set, another cluster, another node
// number (but from 0) and a lower incarnation are refused, the first two with an
// error that wraps ErrMembership. It is synced. The first call raises the format
// in the ident, so that a binary that knows no clusters refuses the store.
func (s *Store) SetMembership(m Membership) error {
	if m.Cluster == [16]byte{} {
		return errors.New("set membership: no cluster given")
	}
	s.joining.Lock()
	defer s.joining.Unlock()
	old, set, err := s.Membership()
	if err != nil {
		return fmt.Errorf("set membership: %w", err)
	}
	switch {
	case !set:
	case old.Cluster != m.Cluster:
		return fmt.Errorf("set membership in cluster %x: it belongs to cluster %x: %w", m.Cluster, old.Cluster, ErrMembership)
	case old.Node != 0 && old.Node != m.Node:
		return fmt.Errorf("set membership as node %d: it is node %d: %w", m.Node, old.Node, ErrMembership)
	case m.Incarnation < old.Incarnation:
		return fmt.Errorf("set membership: incarnation %d is older than %d", m.Incarnation, old.Incarnation)
	case old == m:
		return nil
	}
	i := s.Ident()
	i.Format = formatMember
	b := s.NewBatch()
	b.Set([]byte{persistence.TableIdent}, i.encode())
	b.Set(membershipKey(), m.encode())
	if err := s.Commit(b, true); err != nil {
		return fmt.Errorf("set membership: %w", err)
	}
	s.ident.Store(&i)
	return nil
}
