package transport

import (
	"encoding/hex"
	"errors"
	"fmt"
)

func refuse(r Refusal, format string, args ...any) error {
	return &RefusedError{r, fmt.Sprintf(format, args...)}
}

func short(cluster [16]byte) string { return hex.EncodeToString(cluster[:4]) }

func (t *Transport) hello(lane Lane, to Node) hello {
	return hello{t.cfg.Versions, t.cfg.Cluster(), t.cfg.Self(), to, t.cfg.Ident, lane}
}

// checkHello decides about a connection that another node opens. The peer's
// texts say what its operator has to know.
func (t *Transport) checkHello(h hello, addr string) (version uint16, err error) {
	self := t.cfg.Self()
	version, ok := t.cfg.Versions.common(h.versions)
	switch {
	case !ok:
		return 0, refuse(RefusedVersion, "protocol: node %d speaks version %s, this node %s", self, t.cfg.Versions, h.versions)
	case h.lane < Control || h.lane > laneTunnel:
		return 0, refuse(RefusedLane, "lane: node %d knows no lane %d", self, uint8(h.lane))
	}
	if err := t.checkPeer(h.ident, h.node, h.cluster, h.lane); err != nil {
		return 0, err
	}
	if h.to != 0 && h.to != self {
		return 0, refuse(RefusedNode, "address: node %d was expected here, this is node %d", h.to, self)
	}
	return version, t.admit(Peer{h.node, h.ident, addr})
}

// checkAnswer decides about the node that accepted a connection.
func (t *Transport) checkAnswer(a answer, lane Lane, to Node, addr string) error {
	if a.refusal != 0 {
		if a.refusal == RefusedRemoved && a.cluster == t.cfg.Cluster() && t.cfg.Expelled != nil {
			t.cfg.Expelled(a.node)
		}
		return &RefusedError{a.refusal, "refused: " + a.text}
	}
	if a.version < t.cfg.Versions.Min || a.version > t.cfg.Versions.Max {
		return refuse(RefusedVersion, "protocol: node %d chose version %d, this node speaks %s", a.node, a.version, t.cfg.Versions)
	}
	if err := t.checkPeer(a.ident, a.node, a.cluster, lane); err != nil {
		return err
	}
	if to != 0 && a.node != to {
		return refuse(RefusedNode, "address: node %d was expected at %s, there is node %d", to, addr, a.node)
	}
	return t.admit(Peer{a.node, a.ident, addr})
}

// checkPeer is what both sides of a connection demand of each other.
func (t *Transport) checkPeer(ident uint64, node Node, cluster [16]byte, lane Lane) error {
	self, own, none := t.cfg.Self(), t.cfg.Cluster(), [16]byte{}
	switch {
	case ident == t.cfg.Ident:
		return refuse(RefusedSelf, "address: the node reached itself, or a copy of its disk")
	case cluster != own && cluster != none && own != none:
		return refuse(RefusedCluster, "cluster: node %d belongs to %s, the other one, node %d, to %s", self, short(own), node, short(cluster))
	case lane == laneOnce:
	case own == none || self == 0:
		return refuse(RefusedJoining, "cluster: the node asked is not a member yet")
	case cluster == none || node == 0:
		return refuse(RefusedJoining, "cluster: the node that connects is not a member yet")
	}
	if node != 0 && node == self {
		return refuse(RefusedConflict, "node: number %d belongs to another disk", node)
	}
	return nil
}

// admit asks the owner about a peer, and holds a number to the disk it was
// first met with.
func (t *Transport) admit(p Peer) error {
	if t.cfg.Admit != nil {
		if err := t.cfg.Admit(p); err != nil {
			r := RefusedPeer
			if errors.Is(err, ErrRemoved) {
				r = RefusedRemoved
			}
			return &RefusedError{r, err.Error()}
		}
	}
	if p.Node == 0 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, ok := t.idents[p.Node]; ok && known != p.Ident && t.cfg.Admit == nil {
		return refuse(RefusedConflict, "node: number %d belongs to another disk", p.Node)
	}
	t.idents[p.Node] = p.Ident
	return nil
}
