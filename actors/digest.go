package actors

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/site"
	"footfall/persistence"
)

// digestRequest asks for all that a site's digest is made of, at one moment.
type digestRequest struct{ reply chan<- content }

type content struct {
	id    analytics.SiteID
	view  *site.View
	drops map[int32]map[analytics.Reason]uint64
	err   error
}

func (a *siteActor) content() content {
	c := content{id: a.id}
	a.guard(func() error { c.view, c.drops = a.machine.View(), a.machine.Drops(); return nil })
	if c.err = a.fault; a.gone() {
		c.err = errReplaced
	}
	return c
}

// digestTries is how often a digest is begun again because entries came in;
// digestSites how many sites are looked at between two looks at the clock.
const (
	digestTries = 5
	digestSites = 64
)

// DeepDigest hashes what a shard holds, as of one log index: of every site all
// events and visits, closed months, counts of dropped events and its retention,
// and the delivery table. It does not depend on what is in memory, in which
// records it lies, what is sealed, or which ids of visitors that do not last were
// forgotten. Replicas that applied the same index give the same sum. It reads the
// whole shard; while entries keep coming in it gives Unavailable.
func (s *Sites) DeepDigest(ctx context.Context, n uint16) (index uint64, sum [sha256.Size]byte, err error) {
	if err := s.loaded(n); err != nil {
		return 0, sum, err
	}
	for range digestTries {
		index, sum, err = s.deepDigest(ctx, n)
		if !errors.Is(err, errMoved) && !errors.Is(err, persistence.ErrNotFound) {
			return index, sum, err
		}
	}
	return 0, sum, errMoved
}

var errMoved = &analytics.Error{Code: analytics.Unavailable, Text: "the shard changed while it was read, ask again"}

func (s *Sites) deepDigest(ctx context.Context, n uint16) (index uint64, sum [sha256.Size]byte, err error) {
	sh := &s.shards[n]
	sh.mu.Lock()
	if !sh.present || sh.table == nil {
		sh.mu.Unlock()
		return 0, sum, ErrElsewhere
	}
	applied := sh.applied
	h := sha256.New()
	table := sh.table.Clone()
	sh.mu.Unlock()
	// Of the last entry that the shard's own log had: what a snapshot began with can
	// be raft's own entries.
	index = table.Index()
	h.Write(table.Encode())
	ids, err := s.sitesOf(n)
	if err != nil {
		return 0, sum, err
	}
	for from := 0; from < len(ids); from += digestSites {
		part := ids[from:min(len(ids), from+digestSites)]
		blocks := s.blocksOf(n)
		replies := make(chan content, len(part))
		for _, id := range part {
			if err := s.tell(n, id, &digestRequest{replies}); err != nil {
				return 0, sum, err
			}
		}
		got := make(map[analytics.SiteID]content, len(part))
		for range part {
			select {
			case c := <-replies:
				got[c.id] = c
			case <-ctx.Done():
				return 0, sum, ctx.Err()
			}
		}
		if s.Applied(n) != applied {
			return 0, sum, errMoved
		}
		for _, id := range part {
			one, err := digestOf(got[id], blocks)
			if err != nil {
				return 0, sum, err
			}
			h.Write(one)
		}
	}
	return index, [sha256.Size]byte(h.Sum(nil)), nil
}

// errFound ends a scan at its first key.
var errFound = errors.New("found")

// sitesOf lists the sites of a shard, in memory or not, in order.
func (s *Sites) sitesOf(n uint16) ([]analytics.SiteID, error) {
	ids := map[analytics.SiteID]bool{}
	for _, id := range s.residents(n) {
		ids[id] = true
	}
	from := persistence.SiteKey(n, 1, 0, 0, 0)
	_, to := persistence.StateSpan(n)
	for {
		var at uint64
		err := s.cfg.Store.Scan(from, to, func(k, _ []byte) error {
			_, id, _, _, _, ok := persistence.ParseSiteKey(k)
			if !ok {
				return fmt.Errorf("key %x is not that of a site", k)
			}
			at = id
			return errFound
		})
		if err == nil {
			return slices.Sorted(maps.Keys(ids)), nil
		}
		if !errors.Is(err, errFound) {
			return nil, fmt.Errorf("list sites of shard %d: %w", n, err)
		}
		ids[analytics.SiteID(at)] = true
		_, from = persistence.SiteSpan(n, at)
	}
}

// digestOf hashes one site; nothing of a site that holds nothing.
func digestOf(c content, blocks *shardBlocks) ([]byte, error) {
	if c.err != nil {
		return nil, c.err
	}
	v := c.view
	if v.Index == 0 {
		return nil, nil
	}
	d := digester{view: v}
	for i := range v.Days {
		if err := d.day(&v.Days[i], blocks); err != nil {
			return nil, err
		}
	}
	le := binary.LittleEndian
	b := le.AppendUint64(nil, uint64(c.id))
	b = le.AppendUint64(b, v.Index)
	b = le.AppendUint64(b, uint64(v.Now))
	b = le.AppendUint64(b, uint64(v.First))
	b = le.AppendUint64(b, uint64(v.Kept))
	b = le.AppendUint64(b, v.Removals)
	for _, x := range d.sum {
		b = le.AppendUint64(b, x)
	}
	b = le.AppendUint64(b, d.rows)
	for i := range v.Seals {
		m := &v.Seals[i]
		b = le.AppendUint64(b, uint64(m.Month))
		b = le.AppendUint64(b, m.Index)
		b = le.AppendUint64(b, uint64(m.At))
		b = append(b, m.Digest[:]...)
	}
	for _, day := range slices.Sorted(maps.Keys(c.drops)) {
		for _, reason := range slices.Sorted(maps.Keys(c.drops[day])) {
			b = le.AppendUint64(b, uint64(day))
			b = append(append(b, reason...), 0)
			b = le.AppendUint64(b, c.drops[day][reason])
		}
	}
	one := sha256.Sum256(b)
	return one[:], nil
}

// digester adds up the hashes of rows, so that their order and their records do
// not matter.
type digester struct {
	view *site.View
	sum  [4]uint64
	rows uint64
	row  []byte
}

func (d *digester) add() {
	h := sha256.Sum256(d.row)
	for i := range d.sum {
		d.sum[i] += binary.LittleEndian.Uint64(h[8*i:])
	}
	d.rows++
}

func (d *digester) number(x uint64) { d.row = binary.LittleEndian.AppendUint64(d.row, x) }

func (d *digester) text(s string) {
	d.number(uint64(len(s)))
	d.row = append(d.row, s...)
}

// event begins a row of an event; the rest of it follows.
func (d *digester) event(id column.VisitID, at int64, kind, scroll uint8, engaged uint32, texts ...string) {
	if to, ok := d.view.Alias[id]; ok {
		id = to
	}
	d.row = append(d.row[:0], 'e', kind, scroll)
	d.number(uint64(id))
	d.number(uint64(at))
	d.number(uint64(engaged))
	for _, t := range texts {
		d.text(t)
	}
	d.add()
}

func (d *digester) visit(id column.VisitID, visitor uint64, x column.Sum, texts ...string) {
	d.row = append(d.row[:0], 'v', x.Flags)
	d.number(uint64(id))
	if x.Flags&column.Named != 0 { // others are forgotten with their salt, some time
		d.number(visitor)
	}
	d.number(uint64(x.Start))
	d.number(uint64(x.Last))
	d.number(uint64(x.LastEvent))
	d.number(uint64(x.Views)<<32 | uint64(x.Customs))
	for _, t := range texts {
		d.text(t)
	}
	d.add()
}

func (d *digester) day(day *site.ViewDay, blocks *shardBlocks) error {
	for _, f := range day.Events {
		e := f.Events
		if e == nil {
			value, err := blocks.get(d.view.Site, f.Ref)
			if err != nil {
				return err
			}
			if e, err = column.DecodeEvents(value); err != nil {
				return fmt.Errorf("decode block %v of site %d: %w", f.Ref, d.view.Site, err)
			}
		}
		for i := range e.At {
			t := func(col []uint32) string { return e.Dict[col[i]] }
			d.event(e.VisitID(i), e.Time(i), e.Kind[i], e.Scroll[i], e.Engaged[i], t(e.Name), t(e.Page), t(e.Host), t(e.Props), t(e.Revenue))
		}
	}
	for _, f := range day.Filed {
		c := f.Visits
		if c == nil {
			value, err := blocks.get(d.view.Site, f.Ref)
			if err != nil {
				return err
			}
			if c, err = column.DecodeVisits(value); err != nil {
				return fmt.Errorf("decode block %v of site %d: %w", f.Ref, d.view.Site, err)
			}
		}
		for i := range c.Number {
			if c.Flags[i]&column.Dead != 0 {
				continue
			}
			t := func(col []uint32) string { return c.Dict[col[i]] }
			d.visit(column.MakeVisitID(c.Day, c.Number[i]), c.Visitor[i], column.Sum{Start: c.Start[i], Last: c.Last[i], LastEvent: c.LastEvent[i],
				Views: c.Views[i], Customs: c.Customs[i], Flags: c.Flags[i]}, t(c.Agent), t(c.Place), t(c.Acquisition), t(c.Language), t(c.Screen))
		}
	}
	for _, g := range day.Sealed {
		c := g.Sealed
		if c == nil {
			value, err := blocks.get(d.view.Site, g.Ref)
			if err != nil {
				return err
			}
			if c, err = column.DecodeSealed(value, blocks.c.squeeze); err != nil {
				return fmt.Errorf("decode segment %v of site %d: %w", g.Ref, d.view.Site, err)
			}
		}
		for i := range c.Number {
			d.sealed(c, i)
		}
	}
	return nil
}

// sealed adds a sealed visit and its events.
func (d *digester) sealed(c *column.Sealed, i int) {
	id := column.MakeVisitID(c.Day, c.Number[i])
	x := c.Sum(i)
	if c.Named[i] != 0 {
		x.Flags |= column.Named
	}
	t := func(n uint32) string { return c.Dict[n] }
	d.visit(id, c.Visitor[i], x, t(c.Agent[i]), t(c.Place[i]), t(c.Acquisition[i]), t(c.Language[i]), t(c.Screen[i]))
	for e := int(c.First[i]); e < int(c.First[i+1]); e++ {
		r := c.RareOf(e)
		d.event(id, c.At[e], c.Kind[e], r.Scroll, r.Engaged, t(r.Name), t(c.Page[e]), t(c.Host[e]), t(r.Props), t(r.Revenue))
	}
}
