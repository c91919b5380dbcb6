//go:build next

package node

import "footfall/cluster/transport"

// This build plays the release after this one, for the test of a rolling upgrade:
// it speaks a version of the protocol that this release does not know, and reads
// a generation of formats that nobody may write before all nodes do.
const (
	formatsRead = 2
	release     = "-next"
)

func speaks() transport.Versions { return transport.Versions{Min: 1, Max: 2} }
