package discovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Static is the list of cluster addresses that the operator wrote. It never
// changes while the process runs.
type Static struct {
	first   string
	members []Member
}

var (
	_ Discovery = (*Static)(nil)
	_ Founder   = (*Static)(nil)
)

// NewStatic takes the cluster addresses (host:port) of the nodes that a cluster
// begins with, in the same order on all of them; the caller's own may be among
// them. The first is the one that may found.
func NewStatic(peers []string) (*Static, error) {
	if len(peers) == 0 {
		return nil, errors.New("peers: the list is empty")
	}
	s := &Static{first: peers[0]}
	for _, peer := range peers {
		if err := checkAddress(peer); err != nil {
			return nil, fmt.Errorf("peers: %w", err)
		}
		if !slices.ContainsFunc(s.members, func(m Member) bool { return m.Cluster == peer }) {
			s.members = append(s.members, Member{Cluster: peer})
		}
	}
	sortMembers(s.members)
	return s, nil
}

// Register has nobody to tell; it only checks m.
func (s *Static) Register(_ context.Context, m Member) error { return registrable(m) }

// Watch reports the list once and waits for the end of ctx.
func (s *Static) Watch(ctx context.Context, changed func([]Member)) error {
	changed(slices.Clone(s.members))
	<-ctx.Done()
	return ctx.Err()
}

// MayFound is true for the first of the list.
func (s *Static) MayFound(_ context.Context, cluster string, _ uint64) (bool, error) {
	return cluster == s.first, nil
}

// Close has nothing to end.
func (s *Static) Close(context.Context) error { return nil }

func registrable(m Member) error {
	if err := m.check(); err != nil {
		return fmt.Errorf("register %q: %w", m.Name, err)
	}
	return nil
}
