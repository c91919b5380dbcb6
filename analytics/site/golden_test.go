package site_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/entry"
	"footfall/analytics/query"
	"footfall/analytics/session"
	"footfall/analytics/site"
)

// script runs one golden script: a site, its records, and a question now and
// then. Times are "15:04[:05]" of day 1 March 2026 UTC, "+1d 15:04" of a later
// one, "-1d 15:04" of an earlier one.
type script struct {
	machine *site.Machine
	records map[site.Ref][]byte
	index   uint64
	lastID  uint64
	seal    *site.SealRule // nil: days are not sealed
	parts   int            // sealed so far
}

func (s *script) Events(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Events, error) {
	return column.DecodeEvents(s.records[r])
}

func (s *script) Visits(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Visits, error) {
	return column.DecodeVisits(s.records[r])
}

func (s *script) Sealed(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Sealed, error) {
	return column.DecodeSealed(s.records[r], nil)
}

func at(text string) (int64, error) {
	day := 1
	if d, rest, ok := strings.Cut(text, "d "); ok {
		n, err := strconv.Atoi(d)
		if err != nil {
			return 0, err
		}
		day, text = 1+n, rest
	}
	layout := "15:04"
	if strings.Count(text, ":") == 2 {
		layout = "15:04:05"
	}
	t, err := time.Parse(layout, text)
	if err != nil {
		return 0, err
	}
	return time.Date(2026, 3, day, t.Hour(), t.Minute(), t.Second(), 0, time.UTC).UnixMilli(), nil
}

// fields reads "key=value key=value"; a value with spaces stands in quotes.
func fields(line string) map[string]string {
	out := map[string]string{}
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		key, rest, _ := strings.Cut(line, "=")
		if strings.HasPrefix(rest, `"`) {
			value, after, _ := strings.Cut(rest[1:], `"`)
			out[key], line = value, after
			continue
		}
		value, after, _ := strings.Cut(rest, " ")
		out[key], line = value, after
	}
	return out
}

func (s *script) event(kind analytics.Kind, line string) (string, error) {
	f := fields(line)
	t, err := at(f["at"])
	if err != nil {
		return "", err
	}
	ev := analytics.Event{Kind: kind, Time: t, Page: f["page"], Name: f["name"], Host: "example.com", ScrollDepth: analytics.ScrollNone,
		NonInteractive: f["interactive"] == "false"}
	if ev.Visitor, err = strconv.ParseUint(f["visitor"], 10, 64); err != nil {
		return "", err
	}
	if p := f["before"]; p != "" {
		ev.Previous, _ = strconv.ParseUint(p, 10, 64)
	}
	ev.Acquisition.Source = f["source"]
	if e := f["engaged"]; e != "" {
		n, _ := strconv.Atoi(e)
		ev.EngagedMS = uint32(n) * 1000
	}
	if d := f["scroll"]; d != "" {
		n, _ := strconv.Atoi(d)
		ev.ScrollDepth = uint8(n)
	}
	s.lastID++
	ev.ID = s.lastID
	if id := f["id"]; id != "" {
		ev.ID, _ = strconv.ParseUint(id, 10, 64)
		ev.ID += 1 << 40
	}
	now := t
	if arrived := f["arrived"]; arrived != "" {
		ev.Explicit = true
		if now, err = at(arrived); err != nil {
			return "", err
		}
	}
	return s.step(now, entry.AppendEvent(make([]byte, entry.HeaderLen), 1, &ev))
}

// step applies an entry of one item that arrives at now.
func (s *script) step(now int64, buf []byte) (string, error) {
	entry.PutHeader(buf, now, 1, 0, 1)
	rd, err := entry.Open(buf)
	if err != nil {
		return "", err
	}
	items := make([]entry.Item, 1)
	if _, err := rd.Next(&items[0]); err != nil {
		return "", err
	}
	for need := s.machine.Need(now, items); len(need) > 0; need = s.machine.Need(now, items) {
		for _, r := range need {
			if err := s.machine.Provide(r, s.records[r]); err != nil {
				return "", err
			}
		}
	}
	s.index++
	out := make([]analytics.Reason, 1)
	s.machine.Step(s.index, now, items, out)
	if out[0] == analytics.Counted {
		return "counted", nil
	}
	return string(out[0]), nil
}

// command applies "at=… day=… visitor=…", "at=… day=…" or "at=… month=… figures=…".
func (s *script) command(name, line string) (string, error) {
	f := fields(line)
	now, err := at(f["at"])
	if err != nil {
		return "", err
	}
	buf := make([]byte, entry.HeaderLen)
	switch name {
	case "seal":
		month, err := time.Parse("2006-01", f["month"])
		if err != nil {
			return "", err
		}
		buf = entry.AppendSeal(buf, 1, site.MonthNumber(month.Year(), month.Month()), []byte(f["figures"]))
	default:
		day, err := at(f["day"] + " 00:00")
		if err != nil {
			return "", err
		}
		if name == "retain" {
			buf = entry.AppendRetain(buf, 1, column.DayOf(day))
			break
		}
		visitor, err := strconv.ParseUint(f["visitor"], 10, 64)
		if err != nil {
			return "", err
		}
		buf = entry.AppendErase(buf, 1, visitor, column.DayOf(day))
	}
	text, err := s.step(now, buf)
	if visits, events, ok := s.machine.Outcome(s.index); ok {
		text = fmt.Sprintf("%s: visits %d, events %d", text, visits, events)
	}
	return text, err
}

// seals lists the closed months and tells whether their chain holds.
func (s *script) seals() string {
	var b strings.Builder
	seals := s.machine.View().Seals
	for i := range seals {
		x := &seals[i]
		fmt.Fprintf(&b, "%s %s at %s %x…\n", site.MonthLabel(x.Month), x.Figures, time.UnixMilli(x.At).UTC().Format("2006-01-02 15:04"), x.Digest[:4])
	}
	if err := site.VerifySeals(1, seals); err != nil {
		fmt.Fprintf(&b, "broken: %v\n", err)
	}
	return b.String()
}

// first is the time of the earliest event.
func (s *script) first() string {
	v := s.machine.View()
	if v.First == 0 {
		return "nothing"
	}
	return time.UnixMilli(v.First).UTC().Format("2006-01-02 15:04")
}

func (s *script) flush() string {
	var kinds [7]int
	if s.seal != nil {
		s.parts += s.sealParts(*s.seal)
	}
	for _, w := range s.machine.Flush() {
		kinds[w.Ref.Kind]++
		if w.Value == nil {
			delete(s.records, w.Ref)
		} else {
			s.records[w.Ref] = w.Value
		}
	}
	text := fmt.Sprintf("header %d, events %d, visits %d, window %d, ids %d", kinds[0], kinds[1], kinds[2], kinds[3], kinds[4])
	if kinds[5] > 0 {
		text += fmt.Sprintf(", seals %d", kinds[5])
	}
	return text
}

// sealParts seals all that can be sealed, and tells how many parts that were.
func (s *script) sealParts(rule site.SealRule) (n int) {
	for p, ok := s.machine.NextSeal(rule); ok; p, ok = s.machine.NextSeal(rule) {
		if err := s.machine.SealPart(p, s.records); err != nil {
			panic(err)
		}
		n++
	}
	return n
}

func (s *script) restart() error {
	if len(s.records) == 0 {
		s.machine = site.New(1)
		return nil
	}
	m, window, err := site.Restore(1, s.records[site.Ref{}])
	if err != nil {
		return err
	}
	for _, r := range window {
		if err := m.ProvideWindow(r, s.records[r]); err != nil {
			return err
		}
	}
	s.machine = m
	return nil
}

func (s *script) ask(line string) (string, error) {
	f := fields(line)
	q := &query.Question{Zone: time.UTC}
	var err error
	if q.From, err = at(f["from"]); err != nil {
		return "", err
	}
	if q.To, err = at(f["to"]); err != nil {
		return "", err
	}
	for _, m := range strings.Split(f["metrics"], ",") {
		q.Metrics = append(q.Metrics, query.Metric(m))
	}
	if f["by"] != "" {
		for _, d := range strings.Split(f["by"], ",") {
			q.Dimensions = append(q.Dimensions, query.Dimension(d))
		}
	}
	if is := f["is"]; is != "" {
		d, v, _ := strings.Cut(is, "→")
		q.Filter = &query.Filter{Op: query.Is, Dim: query.Dimension(d), Values: []string{v}}
	}
	a, err := (&query.Picture{View: s.machine.View(), Days: session.NewPlain(s)}).Ask(context.Background(), q)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, r := range a.Rows {
		for _, d := range r.Dims {
			b.WriteString(d + " ")
		}
		for i, v := range r.Values {
			if v.Null {
				fmt.Fprintf(&b, "%s=none ", q.Metrics[i])
			} else {
				fmt.Fprintf(&b, "%s=%v ", q.Metrics[i], v.Number)
			}
		}
		b.WriteString("\n")
	}
	return strings.ReplaceAll(b.String(), " \n", "\n"), nil
}

func TestGoldenScripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		s := &script{machine: site.New(1), records: map[site.Ref][]byte{}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out []string
			for _, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
				var text string
				var err error
				switch d.Cmd {
				case "view":
					text, err = s.event(analytics.Pageview, line)
				case "event":
					text, err = s.event(analytics.Custom, line)
				case "engagement":
					text, err = s.event(analytics.Engagement, line)
				case "erase", "retain", "seal":
					text, err = s.command(d.Cmd, line)
				case "seals":
					text = s.seals()
				case "first":
					text = s.first()
				case "ask":
					text, err = s.ask(line)
				case "flush":
					text = s.flush()
				case "restart":
					err = s.restart()
				default:
					t.Fatalf("unknown command %s", d.Cmd)
				}
				if err != nil {
					text = "error: " + err.Error()
				}
				if text != "" {
					out = append(out, strings.TrimSuffix(text, "\n"))
				}
			}
			if len(out) == 0 {
				return "ok\n"
			}
			return strings.Join(out, "\n") + "\n"
		})
	}
}
