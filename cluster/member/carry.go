package member

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"footfall/analytics"
	"footfall/cluster/placement"
	"footfall/cluster/rafthost"
	"footfall/cluster/transport"
)

// A message on the lanes:
//
//	version(1)=1 { group(2, big-endian) length(uvarint) raft message }…
const (
	carryVersion  = 1
	carryBytesMax = 4 << 20 // what is put into one message before another is begun
)

var errCarried = errors.New("unknown or damaged format of raft's messages")

// Carrier brings raft's messages to other nodes; it is the raft host's
// transport.
type Carrier struct{ m *Member }

// Carrier gives the member as the raft host's transport.
func (m *Member) Carrier() Carrier { return Carrier{m} }

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Send implements rafthost.Transport. What decides who leads goes apart from
// entries and what is said of them, which keep their order.
func (c Carrier) Send(node uint16, batch []rafthost.Outgoing) {
	for _, lane := range []transport.Lane{transport.Control, transport.Append} {
		c.send(node, lane, batch)
	}
}

func laneOf(m *raftpb.Message) transport.Lane {
	switch m.GetType() {
	case raftpb.MsgApp, raftpb.MsgAppResp:
		return transport.Append
	}
	return transport.Control
}

func (c Carrier) send(node uint16, lane transport.Lane, batch []rafthost.Outgoing) {
	buf := buffers.Get().(*[]byte)
	b := (*buf)[:0]
	for _, o := range batch {
		if laneOf(o.Message) != lane {
			continue
		}
		if len(b) == 0 {
			b = append(b, carryVersion)
		}
		b = binary.BigEndian.AppendUint16(b, uint16(o.Group))
		b = binary.AppendUvarint(b, uint64(proto.Size(o.Message)))
		var err error
		if b, err = (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend(b, o.Message); err != nil {
			c.m.cfg.Logger.Error("encode a message of raft", "group", o.Group, "error", err)
			return
		}
		if len(b) >= carryBytesMax {
			c.m.wire.Send(node, lane, b)
			b = b[:0]
		}
	}
	if len(b) > 0 {
		c.m.wire.Send(node, lane, b)
	}
	if cap(b) <= carryBytesMax {
		*buf = b
		buffers.Put(buf)
	}
}

// visitCarried calls f with each message of b, which f must not keep.
func visitCarried(b []byte, f func(g rafthost.Group, m []byte) error) error {
	if len(b) == 0 || b[0] != carryVersion {
		return errCarried
	}
	for b = b[1:]; len(b) > 0; {
		if len(b) < 3 {
			return errCarried
		}
		g := rafthost.Group(binary.BigEndian.Uint16(b))
		n, l := binary.Uvarint(b[2:])
		if l <= 0 || n > uint64(len(b)-2-l) {
			return errCarried
		}
		b = b[2+l:]
		if err := f(g, b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// deliver hands raft what another node sent.
func (m *Member) deliver(from transport.Node, body []byte) {
	p := m.parts.Load()
	if p == nil {
		return
	}
	err := visitCarried(body, func(g rafthost.Group, raw []byte) error {
		msg := &raftpb.Message{}
		if err := proto.Unmarshal(raw, msg); err != nil {
			return err
		}
		if placement.NodeOf(msg.GetFrom()) != from {
			return fmt.Errorf("it is in the name of node %d", placement.NodeOf(msg.GetFrom()))
		}
		p.Host.Deliver(g, msg)
		return nil
	})
	if err != nil {
		m.cfg.Logger.Warn("message of raft dropped", "node", from, "error", err)
	}
}

// SendSnapshot implements rafthost.Transport.
func (c Carrier) SendSnapshot(g rafthost.Group, msg *raftpb.Message, send func(ctx context.Context, w io.Writer) error, done func(error)) {
	raw, err := proto.Marshal(msg)
	if err != nil {
		done(fmt.Errorf("encode a snapshot's message: %w", err))
		return
	}
	m, to := c.m, placement.NodeOf(msg.GetTo())
	name := passage{from: m.Self(), group: uint16(g), id: m.passage.Add(1)}
	x := sending{
		stream: func(ctx context.Context, at uint64, write func(io.Writer) error) error {
			err := m.wire.Stream(ctx, to, streamPassage, append(name.append(at), raw...), write)
			if at == 0 && transport.FateOf(err) == transport.Remote && analytics.CodeOf(err) == errUnknownCall.Code { // an older release
				header := append(binary.BigEndian.AppendUint16([]byte{carryVersion}, uint16(g)), raw...)
				err = m.wire.Stream(ctx, to, streamSnapshot, header, write)
			}
			return err
		},
		got: func(ctx context.Context) (uint64, error) {
			within, cancel := context.WithTimeout(ctx, resumeAsk)
			defer cancel()
			answer, err := m.wire.Call(within, to, callPassage, name.append(0))
			if err == nil && len(answer) != 8 {
				err = errCarried
			}
			if err != nil {
				return 0, err
			}
			return binary.BigEndian.Uint64(answer), nil
		},
		wait: resumeWait, pause: resumePause, logger: m.cfg.Logger,
	}
	m.sends.Go(func() {
		defer m.News()
		done(x.send(m.life, send))
	})
}

// The header of a passage, numbers big-endian: version(1)=1 group(2) id(8) at(8),
// then the message that announces the snapshot. Without the message it asks how
// much has come.
const passageHead = 1 + 2 + 8 + 8

func (p passage) append(at uint64) []byte {
	b := binary.BigEndian.AppendUint16([]byte{carryVersion}, p.group)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, p.id), at)
}

func parsePassage(from transport.Node, b []byte) (p passage, at uint64, rest []byte, err error) {
	if len(b) < passageHead || b[0] != carryVersion {
		return p, 0, nil, errCarried
	}
	p = passage{from: from, group: binary.BigEndian.Uint16(b[1:]), id: binary.BigEndian.Uint64(b[3:])}
	return p, binary.BigEndian.Uint64(b[11:]), b[passageHead:], nil
}

// passed tells another node how much has come of its snapshot.
func (m *Member) passed(from transport.Peer, body []byte) ([]byte, error) {
	name, _, _, err := parsePassage(from.Node, body)
	if err != nil {
		return nil, err
	}
	at, err := m.passages.got(name)
	if err != nil {
		return nil, err
	}
	return binary.BigEndian.AppendUint64(nil, at), nil
}

// takePassage takes a snapshot that can go on after a cut, or the rest of one.
func (m *Member) takePassage(from transport.Peer, header []byte, r io.Reader) error {
	name, at, raw, err := parsePassage(from.Node, header)
	if err != nil {
		return err
	}
	if at > 0 {
		return m.passages.resume(name, at, r)
	}
	whole := append(binary.BigEndian.AppendUint16([]byte{carryVersion}, name.group), raw...)
	return m.passages.begin(name, r, func(ctx context.Context, r io.Reader) error { return m.takeSnapshot(ctx, from, whole, r) })
}

func (m *Member) takeSnapshot(ctx context.Context, from transport.Peer, header []byte, r io.Reader) error {
	p := m.parts.Load()
	if p == nil {
		return errNotReady
	}
	if len(header) < 3 || header[0] != carryVersion {
		return errCarried
	}
	msg := &raftpb.Message{}
	if err := proto.Unmarshal(header[3:], msg); err != nil {
		return fmt.Errorf("decode a snapshot's message: %w", err)
	}
	if placement.NodeOf(msg.GetFrom()) != from.Node {
		return fmt.Errorf("a snapshot of node %d came from node %d", placement.NodeOf(msg.GetFrom()), from.Node)
	}
	return p.Host.ReceiveSnapshot(ctx, rafthost.Group(binary.BigEndian.Uint16(header[1:])), msg, r)
}
