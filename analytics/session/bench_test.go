package session_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/session"
	"footfall/analytics/site"
	"footfall/bench/history"
)

// squeeze is a column.Packer.
type squeeze struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newSqueeze(t testing.TB) *squeeze {
	t.Helper()
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true))
	if err != nil {
		t.Fatal(err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dec.Close)
	return &squeeze{enc, dec}
}

func (s *squeeze) Pack(dst, src []byte) []byte { return s.enc.EncodeAll(src, dst) }

func (s *squeeze) Unpack(dst, src []byte, n int) ([]byte, error) {
	out, err := s.dec.DecodeAll(src, dst)
	if err == nil && len(out) != n {
		err = errors.New("another size")
	}
	return out, err
}

// history3 is a site of three days of about 30,000 views each, all over.
func history3(b *testing.B) (c *counted, views int) {
	b.Helper()
	c = &counted{t: b, machine: site.New(1), records: map[site.Ref][]byte{}, packer: newSqueeze(b)}
	c.machine.SetPacker(c.packer)
	end := time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
	g := history.NewWorld(1).Generator(history.Options{Seed: 1, Views: 90_000, Days: 3, End: end, Host: "example.com"})
	for evs, ok := g.Next(); ok; evs, ok = g.Next() {
		for len(evs) > 0 {
			n := min(len(evs), 2000)
			c.send(evs[n-1].Time, evs[:n]...)
			c.flush()
			evs = evs[n:]
		}
	}
	late := end.Add(40 * 24 * time.Hour).UnixMilli()
	c.send(late, analytics.Event{Time: late, ID: 1, Visitor: 1, Page: "/", Host: "example.com", ScrollDepth: analytics.ScrollNone})
	c.flush()
	return c, 90_000
}

func (c *counted) bytes() (n int) {
	for r, v := range c.records {
		if r.Kind == site.KindEvents || r.Kind == site.KindVisits || r.Kind == site.KindSealed {
			n += len(v)
		}
	}
	return n
}

// BenchmarkADayFromRecords reads days of 30,000 views as blocks and sealed, with
// ids and without.
func BenchmarkADayFromRecords(b *testing.B) {
	c, views := history3(b)
	load := func(name string) {
		view := c.machine.View()
		b.Run(name, func(b *testing.B) {
			events := 0
			b.ReportAllocs()
			lex := session.NewLexicon()
			for b.Loop() {
				for _, d := range view.Days[:3] {
					day, err := session.Build(context.Background(), view, d.Day, c, lex)
					if err != nil {
						b.Fatal(err)
					}
					events += day.Events
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
			b.ReportMetric(float64(c.bytes())/float64(views), "B/view")
		})
	}
	load("blocks")
	begin := time.Now()
	c.seal(site.SealRule{Hurry: true})
	c.flush()
	b.Logf("sealing took %v", time.Since(begin))
	load("sealed")
	c.seal(site.SealRule{Hurry: true, Forget: true})
	c.flush()
	load("numbered")
	var _ column.Packer = c.packer
}
