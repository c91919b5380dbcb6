package saltfile_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"footfall/persistence/saltfile"
)

type kind struct {
	name string
	at   func(*saltfile.File, int64) (current, previous *[16]byte)
	// period names the period of a time, by the calendar of the standard library.
	period func(time.Time) string
}

var kinds = []kind{
	{"day", (*saltfile.File).At, func(t time.Time) string { return t.Format(time.DateOnly) }},
	{"week", (*saltfile.File).Weekly, func(t time.Time) string {
		y, w := t.ISOWeek()
		return fmt.Sprint(y, "-W", w)
	}},
	{"month", (*saltfile.File).Monthly, func(t time.Time) string { return t.Format("2006-01") }},
}

func when(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return t
}

// For years, hour by hour, with a restart now and then: one salt per period,
// never the same for two, and the one before it in the first 24 hours only.
func TestSaltsFollowTheCalendar(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "salts")
			f := open(t, path)
			from, step, end := when("2023-12-20 03:00"), 6*time.Hour, when("2027-01-15 00:00")
			if k.name == "day" {
				end = when("2024-03-15 00:00") // a write for each of them
			}
			seen := map[[16]byte]string{}
			var last, before [16]byte
			var lastPeriod string
			var began time.Time
			for now := from; now.Before(end); now = now.Add(step) {
				if now.Day() == 7 {
					f = open(t, path)
				}
				c, p := k.at(f, now.UnixMilli())
				period := k.period(now)
				if known, ok := seen[*c]; ok && known != period {
					t.Fatalf("%v: the salt of %s is in force in %s", now, known, period)
				}
				if period == lastPeriod && *c != last {
					t.Fatalf("%v: the salt changes within %s", now, period)
				}
				if period != lastPeriod {
					before, began = last, now.Truncate(24*time.Hour)
				}
				offered := lastPeriod != "" && before != [16]byte{} && now.Sub(began) < 24*time.Hour
				if (p != nil) != offered || offered && *p != before {
					t.Fatalf("%v: the one before is offered: %t, want %t", now, p != nil, offered)
				}
				seen[*c], last, lastPeriod = period, *c, period
			}
		})
	}
}

// What is no longer offered is no longer on the disk, whoever notices first.
func TestLongerSaltsAreDestroyedInTime(t *testing.T) {
	for _, c := range []struct {
		kind                      kind
		first, turn, over, muchIn string
	}{
		{kinds[1], "2026-06-03 09:00", "2026-06-08 00:00", "2026-06-09 00:00", "2026-06-23 12:00"},
		{kinds[2], "2026-02-27 09:00", "2026-03-01 00:00", "2026-03-02 00:00", "2026-05-01 00:00"},
	} {
		for name, notice := range map[string]func(*saltfile.File, int64) error{
			"by a view of such a site":  func(f *saltfile.File, now int64) error { c.kind.at(f, now); return f.Err() },
			"by a view of another site": func(f *saltfile.File, now int64) error { f.At(now); return f.Err() },
			"by the sweep":              (*saltfile.File).Sweep,
		} {
			t.Run(c.kind.name+" "+name, func(t *testing.T) {
				dir := t.TempDir()
				f := open(t, filepath.Join(dir, "salts"))
				onDisk := func(at, which string, salt [16]byte, want bool) {
					t.Helper()
					if err := notice(f, when(at).UnixMilli()); err != nil {
						t.Fatal(err)
					}
					if found(t, dir, salt) != want {
						t.Errorf("%s: the %s salt is on disk: %t, want %t", at, which, !want, want)
					}
				}
				a, _ := c.kind.at(f, when(c.first).UnixMilli())
				first := *a
				onDisk(c.turn, "first", first, true)
				b, before := c.kind.at(f, when(c.turn).UnixMilli())
				if *b == first || before == nil || *before != first {
					t.Errorf("%s: the first salt is not the one before", c.turn)
				}
				second := *b
				onDisk(c.over, "first", first, false)
				onDisk(c.over, "second", second, true)
				if now, before := c.kind.at(f, when(c.over).UnixMilli()); *now != second || before != nil {
					t.Errorf("%s: the salt changed, or one is before it", c.over)
				}
				onDisk(c.muchIn, "second", second, false)
				if now, before := c.kind.at(f, when(c.muchIn).UnixMilli()); *now == second || before != nil {
					t.Errorf("%s: a salt of long ago is in use", c.muchIn)
				}
			})
		}
	}
}

// The bytes of a salt whose time is over are overwritten where they were.
func TestASaltOverIsOverwritten(t *testing.T) {
	dir := t.TempDir()
	path, witness := filepath.Join(dir, "salts"), filepath.Join(dir, "witness")
	f := open(t, path)
	f.Weekly(when("2026-06-03 09:00").UnixMilli())
	f.Weekly(when("2026-06-08 09:00").UnixMilli())
	if err := os.Link(path, witness); err != nil {
		t.Fatal(err)
	}
	if err := f.Sweep(when("2026-06-09 00:00").UnixMilli()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(witness)
	if err != nil || len(b) == 0 || !bytes.Equal(b, make([]byte, len(b))) {
		t.Errorf("the old file holds %x, %v; want zeros", b, err)
	}
}

func TestAClockSetBackKeepsOrChangesLongerSalts(t *testing.T) {
	for _, c := range []struct {
		name  string
		kind  kind
		from  string
		to    string
		keeps bool
	}{
		{"within the week", kinds[1], "2026-06-12 10:00", "2026-06-08 01:00", true},
		{"a day before the week", kinds[1], "2026-06-08 10:00", "2026-06-07 10:00", true},
		{"two days before the week", kinds[1], "2026-06-08 10:00", "2026-06-06 23:00", false},
		{"within the month", kinds[2], "2026-06-30 10:00", "2026-06-01 01:00", true},
		{"a day before the month", kinds[2], "2026-06-30 10:00", "2026-05-31 00:00", true},
		{"two days before the month", kinds[2], "2026-06-01 10:00", "2026-05-30 10:00", false},
		{"years", kinds[2], "2036-06-01 10:00", "2026-05-30 10:00", false},
	} {
		f := open(t, filepath.Join(t.TempDir(), "salts"))
		a, _ := c.kind.at(f, when(c.from).UnixMilli())
		was := *a
		b, before := c.kind.at(f, when(c.to).UnixMilli())
		if keeps := *b == was; keeps != c.keeps || before != nil {
			t.Errorf("%s: keeps the salt: %t, want %t; one before it: %t", c.name, keeps, c.keeps, before != nil)
		}
	}
}

func TestAFamilyHasSaltsOnceItIsAskedFor(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "salts")
	f := open(t, path)
	size := func() int {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return int(b[5])
	}
	f.At(noon)
	if err := f.Sweep(noon + 40*day); err != nil || size() != 1 {
		t.Errorf("%d salts of a node that knows days only, %v; want 1", size(), err)
	}
	if b, _ := os.ReadFile(path); b[4] != 1 {
		t.Errorf("a file of days only has version %d; a release before this one could not read it", b[4])
	}
	w, _ := f.Weekly(noon + 40*day)
	week := *w
	if size() != 2 {
		t.Errorf("%d salts, want 2", size())
	}
	m, _ := f.Monthly(noon + 40*day)
	month := *m
	c, _ := f.At(noon + 40*day)
	if size() != 3 || week == month || week == *c || month == *c {
		t.Errorf("%d salts, or two that are the same", size())
	}
	if err := f.Rotate(noon + 40*day); err != nil {
		t.Fatal(err)
	}
	w, before := f.Weekly(noon + 40*day)
	if *w == week || before == nil || *before != week {
		t.Error("a rotation by hand leaves the week's salt")
	}
	m, before = open(t, path).Monthly(noon + 40*day)
	if *m == month || before == nil || *before != month || size() != 6 {
		t.Error("after a rotation by hand and a restart the month's salt is not the one before")
	}
}

// sealed gives a file of a version with so many salts.
func sealed(version, count byte, salts string) []byte {
	b := append(append([]byte("ffsl"), version, count), salts...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

func TestVersionTwoIsReadAsReleased(t *testing.T) {
	path := filepath.Join(t.TempDir(), "salts")
	write(t, path, sealed(2, 5, // from Monday, 1 June 2026, 20,605 days after 1970
		"\x00\x00\x00\x50\x7dcurrent--day-16b"+"\x00\x00\x00\x50\x7cprevious-day-16b"+
			"\x01\x00\x00\x50\x7dcurrent-week-16b"+"\x01\x00\x00\x50\x76previousweek-16b"+
			"\x02\x00\x00\x50\x7dcurrentmonth-16b"))
	f := open(t, path)
	now := when("2026-06-01 10:00").UnixMilli()
	for i, want := range []struct{ current, previous string }{{"current--day-16b", "previous-day-16b"}, {"current-week-16b", "previousweek-16b"}, {"currentmonth-16b", ""}} {
		c, p := kinds[i].at(f, now)
		if string(c[:]) != want.current || (p != nil) != (want.previous != "") || p != nil && string(p[:]) != want.previous {
			t.Errorf("%s: salts %q, %q, want %q", kinds[i].name, c, p, want)
		}
	}
}

// Two salts of days, one of a week, and so on: what cannot be is damaged.
func TestImpossibleFilesAreDamaged(t *testing.T) {
	one := "\x00\x00\x4e\x20sixteen-bytes-ab"
	for name, b := range map[string][]byte{
		"none":                   sealed(1, 0, ""),
		"none, version 2":        sealed(2, 0, ""),
		"fewer than it says":     sealed(1, 2, one),
		"more than it says":      sealed(1, 1, one+one),
		"three of a day":         sealed(1, 3, one+one+one),
		"version 0":              sealed(0, 1, one),
		"version 2 as version 1": sealed(1, 1, "\x01"+one),
		"version 1 as version 2": sealed(2, 1, one),
		"an unknown family":      sealed(2, 1, "\x03"+one),
		"three of a week":        sealed(2, 3, "\x01"+one+"\x01"+one+"\x01"+one),
	} {
		path := filepath.Join(t.TempDir(), "salts")
		write(t, path, b)
		if _, err := saltfile.Open(path, nil); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func TestOneCallTurnsAllFamilies(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "salts"))
	for d := range int64(40) {
		var wg sync.WaitGroup
		got := make([][3][16]byte, 8)
		for i := range got {
			wg.Go(func() {
				for k := range kinds {
					k = (k + i) % len(kinds)
					c, _ := kinds[k].at(f, noon+d*day)
					got[i][k] = *c
				}
			})
		}
		wg.Wait()
		for _, s := range got {
			if s != got[0] {
				t.Fatalf("day %d has two salts of one family", d)
			}
		}
	}
}
