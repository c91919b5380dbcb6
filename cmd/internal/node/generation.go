//go:build !next

package node

import "footfall/cluster/transport"

// formatsRead is the newest generation of formats that this release reads. It
// writes none that is newer than the cluster's gate; see placement.Cluster.Gate.
const formatsRead = 1

// release follows the version that a node tells the others.
const release = ""

// speaks gives the versions of the protocol between nodes; zero: all that the
// transport knows.
func speaks() transport.Versions { return transport.Versions{} }
