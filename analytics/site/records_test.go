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

// TestACommandMustBeAlone: what a command needs is found out before its entry is
// applied, so one beside events of its site, or beside another one, is refused.
func TestACommandMustBeAlone(t *testing.T) {
	erase := entry.Item{Command: entry.Erase, Visitor: 1, Day: 20_513}
	view := item(t, 1_772_353_800_000, 1)
	for _, c := range []struct {
		items []entry.Item
		want  []analytics.Reason
	}{
		{[]entry.Item{view, erase}, []analytics.Reason{analytics.Counted, analytics.DropInvalid}},
		{[]entry.Item{erase, view}, []analytics.Reason{analytics.DropInvalid, analytics.Counted}},
		{[]entry.Item{erase, erase}, []analytics.Reason{analytics.DropInvalid, analytics.DropInvalid}},
		{[]entry.Item{{Drop: true, Day: 20_513, Reason: 2, Count: 1}, erase}, []analytics.Reason{analytics.Counted, analytics.Counted}},
	} {
		m := New(1)
		if need := m.Need(view.Time, c.items); len(need) > 0 {
			t.Fatal(need)
		}
		out := make([]analytics.Reason, len(c.items))
		m.Step(1, view.Time, c.items, out)
		for i := range out {
			if out[i] != c.want[i] {
				t.Errorf("%+v: got %q, want %q", c.items, out, c.want)
			}
		}
	}
}

// TestASummaryIsReadWithoutTheRest compares what a header says with the state.
func TestASummaryIsReadWithoutTheRest(t *testing.T) {
	m := New(7)
	if s, err := Summarize(m.encodeHeader()); err != nil || s != (Summary{}) {
		t.Fatalf("of nothing: %+v, %v", s, err)
	}
	start := int64(1_772_353_800_000)
	for i := range uint64(3) {
		now := start + int64(i)*86_400_000
		m.Step(i+1, now, []entry.Item{item(t, now, i+1)}, make([]analytics.Reason, 1))
	}
	m.Step(9, m.now, []entry.Item{{Command: entry.Seal, Month: MonthNumber(2026, 1)}}, make([]analytics.Reason, 1))
	want := Summary{First: start, Last: start + 2*86_400_000, Oldest: 20_513, Seals: 1, Sealed: MonthNumber(2026, 1)}
	if s, err := Summarize(m.encodeHeader()); err != nil || s != want {
		t.Fatalf("got %+v, %v, want %+v", s, err, want)
	}
	m.Need(m.now, []entry.Item{{Command: entry.Retain, Day: 20_514}})
	m.Step(10, m.now, []entry.Item{{Command: entry.Retain, Day: 20_514}}, make([]analytics.Reason, 1))
	want.First, want.Oldest, want.Kept = start+86_400_000, 20_514, 20_514
	if s, err := Summarize(m.encodeHeader()); err != nil || s != want {
		t.Fatalf("after a Retain: got %+v, %v, want %+v", s, err, want)
	}
}

func TestABrokenChainOfSealsIsFound(t *testing.T) {
	m := New(3)
	m.now = 1_800_000_000_000
	for month := range int32(4) {
		if got := m.seal(MonthNumber(2026, 1)+month, []byte{'0' + byte(month)}); got != analytics.Counted {
			t.Fatal(got)
		}
	}
	if err := VerifySeals(3, m.seals); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what  string
		site  analytics.SiteID
		spoil func([]Seal) []Seal
	}{
		{"other figures", 3, func(s []Seal) []Seal { s[1].Figures = []byte("9"); return s }},
		{"another digest", 3, func(s []Seal) []Seal { s[3].Digest[0]++; return s }},
		{"a month left out", 3, func(s []Seal) []Seal { return append(s[:1], s[2:]...) }},
		{"the first left out", 3, func(s []Seal) []Seal { return s[1:] }},
		{"another site", 4, func(s []Seal) []Seal { return s }},
	} {
		if err := VerifySeals(c.site, c.spoil(append([]Seal(nil), m.seals...))); err == nil {
			t.Errorf("%s: not found", c.what)
		}
	}
}

func item(t testing.TB, now int64, id uint64) entry.Item {
	t.Helper()
	b := make([]byte, entry.HeaderLen)
	entry.PutHeader(b, now, 1, 0, 1)
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
	m.Step(40, m.now, []entry.Item{{Command: entry.Seal, Month: 24_000, Figures: []byte("{}")}}, make([]analytics.Reason, 1))
	m.Step(41, m.now, []entry.Item{{Command: entry.Erase, Visitor: 9, Day: m.days[0].n}}, make([]analytics.Reason, 1))
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
			m.View().Version(0, 1<<60)
			m.Drops()
			if _, err := Summarize(b); err != nil {
				t.Fatalf("a header that is restored has no summary: %v", err)
			}
		}
		if seals, err := decodeSeals(b); err == nil {
			_ = VerifySeals(1, seals)
		}
		if ids, err := decodeIDs(b); err == nil && len(ids)*8 > len(b) {
			t.Fatal("more ids than bytes")
		}
	})
}
