package calendar

import (
	"fmt"
	"testing"
	"time"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatalf("zone %s: %v", name, err)
	}
	return z
}

func utc(t testing.TB, s string) int64 {
	t.Helper()
	at, err := time.Parse("2006-01-02 15:04", s)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixMilli()
}

func TestDayStartIsRightWhereMidnightIsMissingOrDouble(t *testing.T) {
	for _, c := range []struct {
		zone, date   string
		early, later string // UTC
	}{
		{"UTC", "2026-03-01", "2026-03-01 00:00", "2026-03-01 00:00"},
		{"Europe/Berlin", "2026-03-29", "2026-03-28 23:00", "2026-03-28 23:00"},
		{"Europe/Berlin", "2026-03-30", "2026-03-29 22:00", "2026-03-29 22:00"},
		{"Europe/Berlin", "2026-10-26", "2026-10-25 23:00", "2026-10-25 23:00"},
		{"Asia/Kolkata", "2026-01-01", "2025-12-31 18:30", "2025-12-31 18:30"},
		{"Australia/Lord_Howe", "2026-04-06", "2026-04-05 13:30", "2026-04-05 13:30"},
		// Santiago: 24:00 becomes 23:00, so the day before is long; 00:00 becomes 01:00 in September.
		{"America/Santiago", "2025-04-06", "2025-04-06 04:00", "2025-04-06 04:00"},
		{"America/Santiago", "2025-09-07", "2025-09-07 04:00", "2025-09-07 04:00"},
		// Havana: 01:00 becomes 00:00, so midnight occurs twice.
		{"America/Havana", "2025-11-02", "2025-11-02 04:00", "2025-11-02 05:00"},
		{"America/Havana", "2025-03-09", "2025-03-09 05:00", "2025-03-09 05:00"}, // 00:00 becomes 01:00
		{"Atlantic/Azores", "2025-10-26", "2025-10-26 00:00", "2025-10-26 01:00"},
		{"Africa/Cairo", "2025-04-25", "2025-04-24 22:00", "2025-04-24 22:00"},
		// St. John's until 2011: 00:01 becomes 23:01 of the day before.
		{"America/St_Johns", "2010-11-07", "2010-11-07 02:30", "2010-11-07 03:30"},
		{"Pacific/Apia", "2011-12-30", "2011-12-30 10:00", "2011-12-30 10:00"}, // a date that never was
	} {
		z := zone(t, c.zone)
		d, _ := ParseDate(c.date)
		for _, later := range []bool{false, true} {
			want := c.early
			if later {
				want = c.later
			}
			got := DayStart(d.Year, d.Month, d.Day, z, later)
			if got != utc(t, want) {
				t.Errorf("%s %s later=%v: got %s, want %s", c.zone, c.date, later,
					time.UnixMilli(got).UTC().Format("2006-01-02 15:04"), want)
			}
		}
	}
}

func TestRangeLeavesOutTheDoubledHourAtBothEnds(t *testing.T) {
	z := zone(t, "America/Havana")
	day := func(d int) time.Time { return time.Date(2025, 11, d, 0, 0, 0, 0, time.UTC) }
	from, to := Range(day(1), day(1), z)
	if got := to - from; got != 24*3600_000 {
		t.Errorf("1 November: %d ms, want 24 h to the earlier midnight", got)
	}
	from, to = Range(day(2), day(2), z)
	if got := to - from; got != 24*3600_000 {
		t.Errorf("2 November: %d ms, want 24 h from the later midnight", got)
	}
	from, to = Range(day(1), day(2), z)
	if got := to - from; got != 49*3600_000 {
		t.Errorf("both: %d ms, want 49 h", got)
	}
}

// zonesOfNote are zones with a change inside the week around the date.
var zonesOfNote = []struct{ zone, date string }{
	{"UTC", "2026-03-29"},
	{"Europe/Berlin", "2026-03-29"}, {"Europe/Berlin", "2026-10-25"},
	{"America/Santiago", "2025-04-06"}, {"America/Santiago", "2025-09-07"},
	{"America/Havana", "2025-03-09"}, {"America/Havana", "2025-11-02"},
	{"Atlantic/Azores", "2025-03-30"}, {"Atlantic/Azores", "2025-10-26"},
	{"America/Asuncion", "2023-03-26"}, {"America/Asuncion", "2023-10-01"},
	{"Africa/Cairo", "2025-04-25"}, {"Africa/Cairo", "2025-10-31"},
	{"Asia/Beirut", "2025-03-30"}, {"Asia/Beirut", "2025-10-26"},
	{"Asia/Kolkata", "2026-10-25"}, {"Asia/Kathmandu", "2026-01-01"},
	{"Australia/Lord_Howe", "2026-04-05"}, {"Australia/Lord_Howe", "2026-10-04"},
	{"Pacific/Chatham", "2026-04-05"}, {"Pacific/Apia", "2011-12-30"},
	{"America/St_Johns", "2010-03-14"}, {"America/St_Johns", "2010-11-07"},
}

// TestBucketsAgreeWithTheWallClock asks the plain way for every minute: the
// bucket that holds it must be labelled by its local date, month, week or hour.
func TestBucketsAgreeWithTheWallClock(t *testing.T) {
	for _, c := range zonesOfNote {
		for _, iv := range []Interval{Hour, Day, Week, Month} {
			t.Run(fmt.Sprint(c.zone, c.date, iv), func(t *testing.T) {
				z := zone(t, c.zone)
				d, _ := ParseDate(c.date)
				from, to := d.AddDays(-4).start(z, true), d.AddDays(4).start(z, false)
				if iv == Month {
					to = d.AddDays(40).start(z, false)
				}
				buckets := Buckets(from, to, iv, z)
				at := from
				for i, b := range buckets {
					if b.From != at || b.To <= b.From {
						t.Fatalf("bucket %d is [%d, %d), want one from %d", i, b.From, b.To, at)
					}
					at = b.To
					for m := b.From; m < b.To; m += 5 * 60_000 {
						if got, want := b.Label, plainLabel(m, iv, z); got != want && !overMidnight(c.zone, iv) {
							t.Fatalf("%s is in %q, want %q", time.UnixMilli(m).In(z), got, want)
						}
					}
					if i > 0 && iv != Hour && buckets[i-1].Label >= b.Label {
						t.Fatalf("labels %q, %q do not rise", buckets[i-1].Label, b.Label)
					}
					cut := i == 0 || i == len(buckets)-1
					if b.Partial && !cut {
						t.Errorf("bucket %d (%s) is partial", i, b.Label)
					}
					if iv == Day && b.Partial {
						t.Errorf("day %s is partial although the range is of whole days", b.Label)
					}
				}
				if at != to {
					t.Fatalf("buckets end at %d, want %d", at, to)
				}
			})
		}
	}
}

// overMidnight tells of a zone whose clock went back into the day before, where
// no division of time into days can follow the wall clock.
func overMidnight(zone string, iv Interval) bool { return zone == "America/St_Johns" && iv != Hour }

func plainLabel(ms int64, iv Interval, z *time.Location) string {
	t := time.UnixMilli(ms).In(z)
	switch iv {
	case Hour:
		return t.Format("2006-01-02 15:00:00")
	case Week:
		t = time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
		for t.Weekday() != time.Monday {
			t = t.AddDate(0, 0, -1)
		}
	case Month:
		return t.Format("2006-01") + "-01"
	}
	return t.Format("2006-01-02")
}

func TestADayOfAChangeHasItsHours(t *testing.T) {
	for _, c := range []struct {
		zone, date string
		hours      int
		partial    int
	}{
		{"Europe/Berlin", "2026-03-29", 23, 0},
		{"Europe/Berlin", "2026-10-25", 25, 0},
		{"America/Santiago", "2025-04-05", 25, 0},
		{"America/Santiago", "2025-09-07", 23, 0},
		{"Asia/Kolkata", "2026-10-25", 24, 0},
		{"Australia/Lord_Howe", "2026-04-05", 25, 0}, // 24.5 hours, the half hour a bucket of its own
		{"Australia/Lord_Howe", "2026-10-04", 24, 0}, // 23.5 hours, one of them a half
	} {
		z := zone(t, c.zone)
		d, _ := ParseDate(c.date)
		p := DayPeriod(d, d, z)
		b := Buckets(p.From, p.To, Hour, z)
		if len(b) != c.hours {
			t.Errorf("%s %s: %d hours, want %d", c.zone, c.date, len(b), c.hours)
		}
	}
}

func TestARangeThatCutsABucketSaysSo(t *testing.T) {
	z := zone(t, "Europe/Berlin")
	from, to := utc(t, "2026-05-13 10:20"), utc(t, "2026-06-10 09:00")
	for _, c := range []struct {
		iv          Interval
		first, last string
		n           int
	}{
		{Day, "2026-05-13", "2026-06-10", 29},
		{Week, "2026-05-11", "2026-06-08", 5},
		{Month, "2026-05-01", "2026-06-01", 2},
	} {
		b := Buckets(from, to, c.iv, z)
		if len(b) != c.n || b[0].Label != c.first || b[len(b)-1].Label != c.last || !b[0].Partial || !b[len(b)-1].Partial {
			t.Errorf("interval %d: %d buckets from %+v to %+v", c.iv, len(b), b[0], b[len(b)-1])
		}
	}
	if b := Buckets(from, from, Day, z); len(b) != 0 {
		t.Errorf("an empty range has %d buckets", len(b))
	}
	if b := Buckets(from, from+3*60_000, Minute, z); len(b) != 3 || b[0].Label != "2026-05-13 12:20:00" {
		t.Errorf("minutes: %+v", b)
	}
}

func FuzzBucketsCoverTheirRange(f *testing.F) {
	f.Add(int64(1_700_000_000_000), int64(86_400_000*40), uint8(1), uint8(3))
	f.Add(int64(1_289_094_000_000), int64(3*86_400_000), uint8(1), uint8(21))
	f.Fuzz(func(t *testing.T, from, length int64, iv, zi uint8) {
		from, length = from%4_000_000_000_000, length%(400*86_400_000)
		if from < 788_918_400_000 || length < 0 {
			return
		}
		kind := Interval(iv % 4)
		if kind == Hour {
			length %= 40 * 86_400_000
		}
		z := zone(t, zonesOfNote[int(zi)%len(zonesOfNote)].zone)
		at := from
		for _, b := range Buckets(from, from+length, kind, z) {
			if b.From != at || b.To <= b.From {
				t.Fatalf("bucket %+v, want one from %d", b, at)
			}
			at = b.To
		}
		if at != from+length {
			t.Fatalf("end at %d, want %d", at, from+length)
		}
	})
}
