// Package discovery is how the nodes of a cluster learn of one another before
// they have spoken: through Consul, through a list that the operator wrote, or
// not at all. What it reports is a hint. It adds candidates to speak to; nothing
// may be moved, dropped or elected because of it, and nothing that counts views
// may wait for it. It never keeps state of its own beyond the process. Start at
// Discovery; NewConsul, NewStatic and NewNone are the three of it.
package discovery

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Member is one node as others find it.
type Member struct {
	Ident   uint64 // the random number of its store; 0 when not known
	Name    string // for people
	Cluster string // host:port of its cluster port
	HTTP    string // host:port where it serves; "" when not known
	Zone    string // "" for none
	Region  string // "" for none
}

// Discovery makes a node known and tells of the others. Calls may be concurrent.
type Discovery interface {
	// Register makes m known and keeps it known until Close, also when the
	// directory forgets it. A directory out of reach is no error: attempts go on.
	// An error means that m cannot be registered, or that one is already.
	Register(ctx context.Context, m Member) error

	// Watch calls with the members now and after each change, in the caller's
	// goroutine and in ascending order of Cluster; the slice is the callee's. The
	// list may hold the node itself. One that got shorter is a hint only. Watch
	// returns ctx's error when ctx ends, and never before.
	Watch(ctx context.Context, changed func([]Member)) error

	// Close ends what Register began and makes the node unknown again, within
	// ctx. A second Close does nothing.
	Close(ctx context.Context) error
}

// Founder is a Discovery that can choose one node to found a cluster.
type Founder interface {
	// MayFound tells whether the node with this cluster address (as in Member)
	// and ident is the one that is to found the cluster. Of any number that ask,
	// at most one is ever told so, and that one again whenever it asks. An error
	// means that it is not known now.
	MayFound(ctx context.Context, cluster string, ident uint64) (bool, error)
}

// Drainer is a Discovery that balancers listen to as well.
type Drainer interface {
	// Drain makes the node unknown to balancers but not to the other nodes. It is
	// for the beginning of a graceful stop, after readiness was withdrawn.
	Drain(ctx context.Context) error
}

const fieldBytesMax = 255 // of each text of a Member

// check says what is wrong with a member, in the words of its fields.
func (m Member) check() error {
	if err := checkAddress(m.Cluster); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	if m.HTTP != "" {
		if err := checkAddress(m.HTTP); err != nil {
			return fmt.Errorf("http: %w", err)
		}
	}
	for _, text := range []string{m.Name, m.Cluster, m.HTTP, m.Zone, m.Region} {
		if len(text) > fieldBytesMax {
			return fmt.Errorf("%.20q…: is longer than %d bytes", text, fieldBytesMax)
		}
	}
	return nil
}

// checkAddress wants a host and a port that others can dial.
func checkAddress(address string) error {
	_, _, err := splitAddress(address)
	return err
}

func splitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil || host == "" || strings.ContainsAny(host, " /") {
		return "", 0, fmt.Errorf("%q is not host:port", address)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%q: the port is not a number from 1 to 65535", address)
	}
	return host, int(n), nil
}

func sortMembers(members []Member) {
	slices.SortFunc(members, func(a, b Member) int {
		return cmp.Or(strings.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Ident, b.Ident))
	})
}
