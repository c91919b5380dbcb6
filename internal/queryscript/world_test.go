package queryscript

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/column"
	"footfall/analytics/entry"
	"footfall/analytics/query"
	"footfall/analytics/session"
	"footfall/analytics/site"
	"footfall/http/door"
	"footfall/http/partner"
	"footfall/http/report"
)

// world is one site of a script: its state machine, its records, and the doors
// through which it is asked.
type world struct {
	site     *analytics.Site
	goals    []*analytics.Goal
	segments map[uint64]*analytics.Segment
	with     map[string]json.RawMessage
	now      time.Time
	clock    clock
	routes   []door.Route // of all doors that questions come through

	machine *site.Machine
	records map[site.Ref][]byte
	days    *session.Plain
	index   uint64
	logTime int64
	// careful writes everything and reads it back after each event and before each
	// question, and answers with several tasks at a time.
	careful bool
}

const (
	siteID = analytics.SiteID(1)
	owner  = uint64(1) // of everything in a script
)

func newWorld(text string, careful bool) (*world, error) {
	s := analytics.Site{ID: siteID, Domain: "example.com", Timezone: "UTC", Org: 1, Uniques: analytics.UniquesDaily}
	settings, err := words(text)
	if err != nil {
		return nil, err
	}
	for _, w := range settings {
		key, value, err := setting(w)
		switch {
		case err != nil:
			return nil, err
		case key == "zone":
			s.Timezone = value
		case key == "domain":
			s.Domain = value
		case key == "uniques" && (value == "daily" || value == "weekly" || value == "monthly"):
			s.Uniques = analytics.Uniques(value)
		default:
			return nil, fmt.Errorf("a site has no %s", w)
		}
	}
	w := &world{segments: map[uint64]*analytics.Segment{}, machine: site.New(siteID), records: map[site.Ref][]byte{}, careful: careful}
	if w.site, err = s.WithZone(); err != nil {
		return nil, err
	}
	w.clock.zone = w.site.Zone()
	w.days = session.NewPlain(asker{w})
	clock := func() time.Time { return w.now }
	stats := partner.New(partner.Config{Asker: asker{w}, Looker: asker{w}, Directory: directory{w}, First: w, Clock: clock, ServedBy: "script", RequestsPerHour: -1})
	reports := report.New(report.Config{Dialect: stats, Looker: asker{w}, Goals: directory{w}, Clock: clock, ServedBy: "script"})
	w.routes = append(stats.Routes(), reports.Routes()...)
	return w, nil
}

// directory is what the door must know of sites.
type directory struct{ w *world }

func (d directory) Site(domain []byte) (*analytics.Site, bool) {
	return d.w.site, string(domain) == d.w.site.Domain
}

func (d directory) Goals(analytics.SiteID) []*analytics.Goal { return d.w.goals }

func (d directory) Segment(_ analytics.SiteID, id uint64) (*analytics.Segment, bool) {
	s, ok := d.w.segments[id]
	return s, ok
}

// FirstEvent tells when the site's first event was.
func (w *world) FirstEvent(analytics.SiteID) (int64, bool, error) {
	first := w.machine.First()
	return first, first != 0, nil
}

// asker answers from the machine's view and the records.
type asker struct{ w *world }

func (a asker) Ask(ctx context.Context, _ analytics.SiteID, q *query.Question, _ analytics.Token) (*query.Answer, error) {
	return a.picture().Ask(ctx, q)
}

func (a asker) Look(ctx context.Context, _ analytics.SiteID, _ analytics.Token, f func(context.Context, *query.Picture) error) error {
	return f(ctx, a.picture())
}

func (a asker) picture() *query.Picture {
	p := &query.Picture{View: a.w.machine.View(), Days: a.w.days}
	if a.w.careful {
		p.Fan = together
	}
	return p
}

// together runs all tasks at the same time and waits for them.
func together(_ context.Context, n int, task func(i int)) error {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { task(i) })
	}
	all.Wait()
	return nil
}

func (a asker) Events(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Events, error) {
	return column.DecodeEvents(a.w.records[r])
}

func (a asker) Visits(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Visits, error) {
	return column.DecodeVisits(a.w.records[r])
}

func (a asker) Sealed(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Sealed, error) {
	return column.DecodeSealed(a.w.records[r], nil)
}

// reader is who asks: a key of the site's organisation.
func reader() accounts.Identity {
	return accounts.Identity{Org: 1, Key: 7, Scopes: []accounts.Scope{accounts.StatsRead}}
}

// load counts the event of one line, as one entry of the log.
func (w *world) load(text string) error {
	all, err := words(text)
	if err != nil {
		return err
	}
	at, rest, err := w.clock.read(all)
	if err != nil {
		return err
	}
	ev, reason, err := event(rest, at, w.site.Uniques, w.site.Domain)
	if err != nil {
		return err
	}
	if ev.ID == 0 {
		ev.ID = hash("line", strconv.FormatUint(w.index, 10))
	}
	got, err := w.apply(ev)
	if err != nil {
		return err
	}
	if got != reason {
		return fmt.Errorf("the event is %s, want %s", fate(got), fate(reason))
	}
	return nil
}

func fate(r analytics.Reason) string {
	if r == analytics.Counted {
		return "counted"
	}
	return "dropped as " + string(r)
}

func (w *world) apply(ev *analytics.Event) (analytics.Reason, error) {
	w.logTime = max(w.logTime, ev.Time)
	buf := make([]byte, entry.HeaderLen)
	entry.PutHeader(buf, w.logTime, 1, 0, 1)
	rd, err := entry.Open(entry.AppendEvent(buf, siteID, ev))
	if err != nil {
		return "", err
	}
	items := make([]entry.Item, 1)
	if _, err := rd.Next(&items[0]); err != nil {
		return "", err
	}
	for _, r := range w.machine.Need(rd.Time, items) {
		if err := w.machine.Provide(r, w.records[r]); err != nil {
			return "", err
		}
	}
	w.index++
	out := make([]analytics.Reason, 1)
	w.machine.Step(w.index, rd.Time, items, out)
	if w.careful {
		err = w.restart()
	}
	return out[0], err
}

// flush writes what changed to the records.
func (w *world) flush() {
	for _, x := range w.machine.Flush() {
		if x.Value == nil {
			delete(w.records, x.Ref)
		} else {
			w.records[x.Ref] = x.Value
		}
	}
}

// restart writes everything, forgets the machine and reads it back.
func (w *world) restart() error {
	w.flush()
	header, ok := w.records[site.Ref{}]
	if !ok {
		return nil // nothing was ever counted
	}
	m, window, err := site.Restore(siteID, header)
	if err != nil {
		return err
	}
	for _, r := range window {
		if err := m.ProvideWindow(r, w.records[r]); err != nil {
			return err
		}
	}
	w.machine = m
	return nil
}

// goal reads `"Signup" event=signup currency=EUR props.plan=pro`.
func (w *world) goal(text string) error {
	all, err := words(text)
	if err != nil {
		return err
	}
	if len(all) < 2 {
		return fmt.Errorf("a goal has a name and what reaches it")
	}
	g := &analytics.Goal{ID: uint64(len(w.goals) + 1), Site: siteID, Name: all[0]}
	for _, word := range all[1:] {
		key, value, err := setting(word)
		if err != nil {
			return err
		}
		prop, isProp := strings.CutPrefix(key, "props.")
		switch {
		case isProp:
			g.Props = append(g.Props, analytics.Prop{Key: prop, Value: value})
		case key == "event":
			g.Kind, g.Event = analytics.GoalEvent, value
		case key == "page":
			g.Page = value
			if g.Kind == "" {
				g.Kind = analytics.GoalPage
			}
		case key == "scroll":
			n, err := strconv.ParseUint(strings.TrimSuffix(value, "%"), 10, 8)
			if err != nil || n < 1 || n > 100 {
				return fmt.Errorf("scroll=%s: a percentage from 1 to 100", value)
			}
			g.Kind, g.Scroll = analytics.GoalScroll, uint8(n)
		case key == "currency":
			g.Currency = value
		default:
			return fmt.Errorf("a goal has no %s", key)
		}
	}
	if g.Kind == "" || g.Kind == analytics.GoalEvent == (g.Page != "") {
		return fmt.Errorf("a goal is an event, a page, or a page and how far it was scrolled")
	}
	w.goals = append(w.goals, g)
	return nil
}

// segment reads `7 "Germans" [["is","visit:country",["DE"]]]`; "personal" before
// the filters makes it somebody else's own.
func (w *world) segment(text string) error {
	head, filters, ok := strings.Cut(text, "[")
	all, err := words(head)
	if err != nil {
		return err
	}
	if !ok || len(all) < 2 || len(all) > 3 || len(all) == 3 && all[2] != "personal" {
		return fmt.Errorf("a segment has a number, a name and a list of filters")
	}
	id, err := strconv.ParseUint(all[0], 10, 64)
	if err != nil {
		return fmt.Errorf("a segment's number: %w", err)
	}
	if filters = "[" + filters; !json.Valid([]byte(filters)) {
		return fmt.Errorf("%s is not JSON", filters)
	}
	w.segments[id] = &analytics.Segment{ID: id, Site: siteID, Name: all[1], Personal: len(all) == 3, Owner: owner,
		Data: `{"filters":` + filters + `}`}
	return nil
}

func (w *world) setNow(text string) error {
	all, err := words(text)
	if err != nil {
		return err
	}
	c := clock{zone: w.site.Zone(), last: w.now}
	t, rest, err := c.read(all)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return fmt.Errorf("%q after the time", rest)
	}
	w.now = t
	return nil
}
