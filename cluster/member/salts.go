package member

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"footfall/analytics"
	"footfall/cluster/placement"
	"footfall/persistence/saltfile"
)

// A salt on the wire: family(1) period(8, days since 1970, big-endian) id(16),
// and when it is given salt(16).
const (
	saltName  = 1 + 8 + 16
	saltWhole = saltName + 16
	saltMax   = 2 * time.Second
)

func appendSaltName(b []byte, p saltfile.Period, id saltfile.ID) []byte {
	return append(binary.BigEndian.AppendUint64(append(b, p.Family), uint64(p.Start)), id[:]...)
}

func parseSaltName(b []byte) (saltfile.Period, saltfile.ID) {
	return saltfile.Period{Family: b[0], Start: int64(binary.BigEndian.Uint64(b[1:]))}, saltfile.ID(b[9:])
}

// giveSalt answers a node that needs a salt. It is told nobody but members, over
// their own connections.
func (m *Member) giveSalt(body []byte) ([]byte, error) {
	if len(body) != saltName {
		return nil, errUnknownCall
	}
	bytes, ok := m.parts.Load().Salts.Get(parseSaltName(body))
	if !ok {
		return nil, &analytics.Error{Code: analytics.NotFound, Text: "salt: not here"}
	}
	return bytes[:], nil
}

func (m *Member) keepSalt(body []byte) error {
	if len(body) != saltWhole {
		return errUnknownCall
	}
	p, id := parseSaltName(body)
	return m.parts.Load().Salts.Put(p, id, [16]byte(body[saltName:]))
}

// shareSalts takes over which salts are in force and fetches those that this
// node does not hold.
func (m *Member) shareSalts(ctx context.Context) {
	p := m.parts.Load()
	choices := map[saltfile.Period]saltfile.ID{}
	makers := map[saltfile.Period]uint16{}
	for _, s := range p.Control.Placement().Salts() {
		period := saltfile.Period{Family: uint8(s.Family), Start: int64(s.Period)}
		choices[period], makers[period] = saltfile.ID(s.ID), s.By
	}
	p.Salts.Choose(choices)
	periods, ids := p.Salts.Missing(m.cfg.Clock().UnixMilli())
	for i, period := range periods {
		if err := m.fetchSalt(ctx, period, ids[i], makers[period]); err != nil && ctx.Err() == nil {
			m.cfg.Logger.Warn("a salt is not to be had yet", "family", placement.Family(period.Family), "error", err)
		}
	}
}

// fetchSalt asks the node that made a salt, then all others.
func (m *Member) fetchSalt(ctx context.Context, p saltfile.Period, id saltfile.ID, maker uint16) error {
	nodes := []uint16{maker}
	for _, peer := range m.wire.Peers() {
		if peer.Up && peer.Node != maker {
			nodes = append(nodes, peer.Node)
		}
	}
	var last error
	for _, n := range nodes {
		if n == m.Self() {
			continue
		}
		within, cancel := context.WithTimeout(ctx, saltMax)
		bytes, err := m.wire.Call(within, n, callSalt, appendSaltName(nil, p, id))
		cancel()
		if err == nil && len(bytes) == 16 {
			return m.parts.Load().Salts.Put(p, id, [16]byte(bytes))
		}
		last = err
	}
	if last == nil {
		last = fmt.Errorf("no other node is connected")
	}
	return last
}

// Salts lets the controller choose salts.
type Salts struct{ m *Member }

// Salts gives the member as the holder of salts.
func (m *Member) Salts() Salts { return Salts{m} }

func period(f placement.Family, period uint32) saltfile.Period {
	return saltfile.Period{Family: uint8(f), Start: int64(period)}
}

// Has tells whether this node holds a salt.
func (s Salts) Has(f placement.Family, of uint32, id placement.ID) bool {
	_, ok := s.m.parts.Load().Salts.Get(period(f, of), saltfile.ID(id))
	return ok
}

// Make gives a salt of this node for a period.
func (s Salts) Make(f placement.Family, of uint32) (placement.ID, error) {
	id, err := s.m.parts.Load().Salts.Make(period(f, of))
	return placement.ID(id), err
}

// Push brings a salt of this node to another one.
func (s Salts) Push(ctx context.Context, node uint16, f placement.Family, of uint32, id placement.ID) error {
	p := period(f, of)
	bytes, ok := s.m.parts.Load().Salts.Get(p, saltfile.ID(id))
	if !ok {
		return fmt.Errorf("salt of the %s %d: not here", f, of)
	}
	within, cancel := context.WithTimeout(ctx, saltMax)
	defer cancel()
	_, err := s.m.wire.Call(within, node, callKeep, append(appendSaltName(nil, p, saltfile.ID(id)), bytes[:]...))
	return err
}
