package site

import (
	"encoding/binary"
	"hash/crc32"
	"testing"

	"footfall/analytics"
	"footfall/analytics/entry"
)

func TestIDSetHoldsWhatWasAdded(t *testing.T) {
	var s idSet
	for i := uint64(1); i < 10_000; i++ {
		id := i * 0x9e3779b97f4a7c15
		if s.has(id) || !s.add(id) || s.add(id) || !s.has(id) {
			t.Fatalf("id %d", i)
		}
	}
	if s.n != 9_999 {
		t.Fatalf("%d ids, want 9,999", s.n)
	}
}

func TestTheWindowKeepsIDsForADayAndForgetsThemAfterwards(t *testing.T) {
	m := New(1)
	at := func(now int64, id uint64) analytics.Reason {
		out := make([]analytics.Reason, 1)
		m.Step(m.Applied()+1, now, []entry.Item{item(t, now, id)}, out)
		return out[0]
	}
	start := int64(1_772_353_800_000)
	at(start, 1)
	if got := at(start+analytics.IDWindowMS-1, 1); got != analytics.DropDuplicate {
		t.Fatalf("within a day: %q", got)
	}
	at(start+analytics.IDWindowMS+2*generationSpanMS, 2)
	if n := m.window.size(); n != 1 {
		t.Fatalf("%d ids are still kept, want the one of today", n)
	}
}

func item(t testing.TB, now int64, id uint64) entry.Item {
	t.Helper()
	b := make([]byte, entry.HeaderLen)
	entry.PutHeader(b, now, 1, 1)
	rd, err := entry.Open(entry.AppendEvent(b, 1, &analytics.Event{Time: now, ID: id, Visitor: id, Page: "/p", Host: "h"}))
	if err != nil {
		t.Fatal(err)
	}
	var it entry.Item
	if _, err := rd.Next(&it); err != nil {
		t.Fatal(err)
	}
	return it
}

// FuzzRestore mends the checksum, so that what is behind it meets every damage.
func FuzzRestore(f *testing.F) {
	m := New(1)
	for i := uint64(1); i < 40; i++ {
		now := int64(1_772_353_800_000) + int64(i)*600_000
		m.Step(i, now, []entry.Item{item(f, now, i)}, make([]analytics.Reason, 1))
	}
	m.drop(5, 2, 9)
	for _, w := range m.Flush() {
		f.Add(w.Value)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 4 {
			return
		}
		b = append([]byte(nil), b...)
		binary.LittleEndian.PutUint32(b[len(b)-4:], crc32.Checksum(b[:len(b)-4], crcTable))
		if m, _, err := Restore(1, b); err == nil {
			m.View()
			m.Drops()
		}
		if ids, err := decodeIDs(b); err == nil && len(ids)*8 > len(b) {
			t.Fatal("more ids than bytes")
		}
	})
}
