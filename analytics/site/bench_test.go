package site_test

import (
	"fmt"
	"testing"

	"footfall/analytics"
	"footfall/analytics/entry"
	"footfall/analytics/site"
)

// busy is a site in the middle of a busy quarter of an hour: many visits that
// may go on, and a live tail of events.
func busy(tb testing.TB, visitors, views int) *site.Machine {
	m := site.New(1)
	ids := uint64(0)
	for i := 0; i < views; i += 100 {
		items := batch(tb, &ids, visitors, 1_772_353_800_000+int64(i)*10)
		m.Step(uint64(i+1), 1_772_353_800_000+int64(i)*10, items, make([]analytics.Reason, len(items)))
	}
	return m
}

func batch(tb testing.TB, ids *uint64, visitors int, now int64) []entry.Item {
	buf := make([]byte, entry.HeaderLen)
	entry.PutHeader(buf, now, 1, 0, 1)
	for range 100 {
		*ids++
		h := *ids * 0x9e3779b97f4a7c15
		ev := analytics.Event{Time: now, ID: h, Visitor: h%uint64(visitors) + 1, Page: fmt.Sprintf("/shop/%d", h%1000), Host: "example.com", ScrollDepth: 255}
		ev.Agent = analytics.Agent{Browser: "Chrome", BrowserVersion: fmt.Sprint(100 + h%60), OS: "Windows", OSVersion: "10", Device: "Desktop"}
		ev.Acquisition.Source, ev.Acquisition.Channel, ev.Acquisition.Referrer = "Google", "Organic Search", "google.com"
		ev.Language = "en-GB"
		buf = entry.AppendEvent(buf, 1, &ev)
	}
	rd, err := entry.Open(buf)
	if err != nil {
		tb.Fatal(err)
	}
	var items []entry.Item
	for {
		var it entry.Item
		ok, err := rd.Next(&it)
		if err != nil {
			tb.Fatal(err)
		}
		if !ok {
			return items
		}
		items = append(items, it)
	}
}

// BenchmarkStep is the cost of a hundred views.
func BenchmarkStep(b *testing.B) {
	for _, visitors := range []int{1000, 100_000} {
		b.Run(fmt.Sprintf("visitors=%d", visitors), func(b *testing.B) {
			m := site.New(1)
			ids := uint64(0)
			out := make([]analytics.Reason, 100)
			b.ReportAllocs()
			for i := 0; i < b.N; i++ {
				b.StopTimer()
				items := batch(b, &ids, visitors, 1_772_353_800_000+int64(i))
				b.StartTimer()
				m.Step(uint64(i+1), 1_772_353_800_000+int64(i), items, out)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/view")
		})
	}
}

// BenchmarkFlush is how long a busy site stands still while it is written.
func BenchmarkFlush(b *testing.B) {
	for i := 0; i < b.N; i++ {
		b.StopTimer()
		m := busy(b, 50_000, 120_000)
		b.StartTimer()
		m.Flush()
	}
}

// BenchmarkView is how long a busy site stands still for a question.
func BenchmarkView(b *testing.B) {
	m := busy(b, 50_000, 120_000)
	ids := uint64(1 << 40)
	out := make([]analytics.Reason, 100)
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		b.StopTimer()
		m.Step(uint64(1_000_000+i), 1_772_353_800_000+1_300_000, batch(b, &ids, 50_000, 1_772_353_800_000+1_300_000), out)
		b.StartTimer()
		m.View()
	}
}
