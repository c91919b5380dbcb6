package member

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"

	"footfall/analytics"
	"footfall/cluster/control"
	"footfall/cluster/placement"
	"footfall/cluster/transport"
)

// Kinds of calls. The numbers cross the wire and are frozen; new ones go at the
// end. Those from askKinds on are the node's own.
const (
	callJoin    = 1 // a node wants to be a member
	callBatch   = 2 // views for a shard that the called node leads
	callCommand = 3 // a change of accounts or placement, for the control group's leader
	callReport  = 4 // how a node's replicas are, for the controller
	callStep    = 5 // something that the controller wants done
	callSalt    = 6 // give a salt
	callKeep    = 7 // take a salt
	callOperate = 8 // what an operator wants of the controller
	callPassage = 9 // how much has come of a snapshot that was cut
	askKinds    = 64
)

// Kinds of streams; frozen too.
const (
	streamSnapshot = 1 // in one piece
	streamPassage  = 2 // a snapshot, or the rest of one
)

var errUnknownCall = &analytics.Error{Code: analytics.Invalid, Text: "call: not known to this release"}

type handler struct{ m *Member }

func (h handler) Message(from transport.Node, _ transport.Lane, body []byte) { h.m.deliver(from, body) }

func (h handler) Call(ctx context.Context, from transport.Peer, kind uint8, body []byte) ([]byte, error) {
	if kind == callJoin {
		return h.m.takeIn(ctx, body)
	}
	p := h.m.parts.Load()
	switch {
	case p == nil:
		return nil, errNotReady
	case from.Node == 0:
		return nil, &analytics.Error{Code: analytics.Forbidden, Text: "call: only members may"}
	case kind >= askKinds:
		return p.Ask(ctx, kind, body)
	}
	switch kind {
	case callBatch:
		return h.m.takeBatch(ctx, body)
	case callCommand:
		return h.m.takeCommand(body)
	case callReport:
		r, err := placement.DecodeNodeReport(body)
		if err == nil && r.Node != from.Node {
			err = errUnknownCall
		}
		if err == nil {
			p.Controller.Report(r)
		}
		return nil, err
	case callStep:
		return nil, h.m.takeStep(ctx, body)
	case callSalt:
		return h.m.giveSalt(body)
	case callKeep:
		return nil, h.m.keepSalt(body)
	case callOperate:
		return h.m.takeOrder(ctx, body)
	case callPassage:
		return h.m.passed(from, body)
	}
	return nil, errUnknownCall
}

func (h handler) Stream(ctx context.Context, from transport.Peer, kind uint8, header []byte, r io.Reader) error {
	switch kind {
	case streamSnapshot:
		return h.m.takeSnapshot(ctx, from, header, r)
	case streamPassage:
		return h.m.takePassage(from, header, r)
	}
	return errUnknownCall
}

func (h handler) Tunnel(conn net.Conn, _ transport.Peer) {
	p := h.m.parts.Load()
	if p == nil {
		_ = conn.Close()
		return
	}
	h.m.tunnels.Go(func() {
		defer conn.Close()
		_ = p.Tunnel(conn) // the other node sees how it ends
	})
}

func (h handler) Up(n transport.Node) { h.m.cfg.Logger.Info("connected", "node", n) }

// Down lets the groups that the node led choose another leader at once: a
// connection that breaks is how a killed process is seen first.
func (h handler) Down(n transport.Node, err error) {
	h.m.cfg.Logger.Warn("connection lost", "node", n, "error", err)
	if p := h.m.parts.Load(); p != nil && !errors.Is(err, transport.ErrClosed) {
		p.Host.PeerDown(n)
	}
}

// takeCommand queues another node's change of accounts or placement:
// id(16) command. The answer is notLeading when it has to go elsewhere.
func (m *Member) takeCommand(body []byte) ([]byte, error) {
	if len(body) < 16 {
		return nil, errUnknownCall
	}
	err := m.parts.Load().Control.Offer([16]byte(body), body[16:])
	if errors.Is(err, control.ErrNotLeader) {
		return []byte{notLeading}, nil
	}
	return nil, err
}

const notLeading = 1

// Forward brings a command to the leader of the control group; it is
// control.Config.Forward.
func (m *Member) Forward(ctx context.Context, id [16]byte, command []byte) error {
	leader := m.ControlLeader()
	if leader == 0 || leader == m.Self() {
		return control.ErrNotLeader
	}
	answer, err := m.wire.Call(ctx, leader, callCommand, append(id[:], command...))
	switch {
	case transport.FateOf(err) == transport.NotSent:
		return errors.Join(control.ErrNotSent, err)
	case err == nil && len(answer) == 1 && answer[0] == notLeading:
		return control.ErrNotLeader
	}
	return err
}

func shardAnd(shard uint16, b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(b)), shard), b...)
}
