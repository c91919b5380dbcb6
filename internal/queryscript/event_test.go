package queryscript

import (
	"fmt"
	"hash/fnv"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"footfall/analytics"
)

// clock reads the times of a script, which are local ones of its site.
type clock struct {
	zone *time.Location
	last time.Time // what the one before stands for; zero before the first
}

var (
	dateWord = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
	timeWord = regexp.MustCompile(`^(\d{2}:\d{2})(:\d{2}(?:\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})?$`)
)

// read takes a time off the front of words: "2026-03-01 23:50", "23:50:05" of the
// same day, "+2m" after the one before. An offset, "02:30+02:00", tells two equal
// local times apart.
func (c *clock) read(words []string) (time.Time, []string, error) {
	if len(words) == 0 {
		return time.Time{}, nil, fmt.Errorf("a time is missing")
	}
	first, rest := words[0], words[1:]
	if first[0] == '+' || first[0] == '-' {
		d, err := time.ParseDuration(first)
		if err != nil || c.last.IsZero() {
			return time.Time{}, nil, fmt.Errorf("%q is no time after another one", first)
		}
		c.last = c.last.Add(d)
		return c.last, rest, nil
	}
	date := ""
	if dateWord.MatchString(first) {
		if len(rest) == 0 {
			return time.Time{}, nil, fmt.Errorf("%q needs a time of day", first)
		}
		date, first, rest = first, rest[0], rest[1:]
	} else if !c.last.IsZero() {
		date = c.last.In(c.zone).Format(time.DateOnly)
	}
	part := timeWord.FindStringSubmatch(first)
	if date == "" || part == nil {
		return time.Time{}, nil, fmt.Errorf("%q is no time: write 2026-03-01 23:50, 23:50:05 or +2m", words[0])
	}
	if part[2] == "" {
		part[2] = ":00"
	}
	t, err := c.local(date+"T"+part[1]+part[2], part[3])
	if err != nil {
		return time.Time{}, nil, err
	}
	c.last = t
	return t, rest, nil
}

func (c *clock) local(wall, offset string) (time.Time, error) {
	const layout = "2006-01-02T15:04:05"
	if offset != "" {
		t, err := time.Parse(layout+"Z07:00", wall+offset)
		if err == nil && !strings.HasPrefix(wall, t.In(c.zone).Format(layout)) && offset != "Z" {
			err = fmt.Errorf("%s%s is not a local time in %s", wall, offset, c.zone)
		}
		return t, err
	}
	t, err := time.ParseInLocation(layout, wall, c.zone)
	if err != nil {
		return t, err
	}
	if !strings.HasPrefix(wall, t.Format(layout)) {
		return t, fmt.Errorf("%s does not occur in %s", wall, c.zone)
	}
	start, end := t.ZoneBounds()
	_, here := t.Zone()
	for _, other := range []time.Time{start.Add(-time.Second), end} {
		if start.IsZero() || end.IsZero() {
			continue
		}
		_, there := other.Zone()
		again := t.Add(time.Duration(here-there) * time.Second)
		if !again.Equal(t) && again.Format(layout) == t.Format(layout) {
			return t, fmt.Errorf("%s occurs twice in %s; write its offset, as in 02:30+02:00", wall, c.zone)
		}
	}
	return t, nil
}

// hash numbers a name of a script.
func hash(parts ...string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(strings.Join(parts, "\x00")))
	return max(1, h.Sum64())
}

// identify gives the visitor the ids that the beacon would: new ones with every
// day, week or month in UTC, the one before on offer for the first 24 hours. A
// name with "@" in front is one that the merchant gave and lasts.
func identify(ev *analytics.Event, name string, uniques analytics.Uniques) {
	if strings.HasPrefix(name, "@") {
		ev.Visitor, ev.Named = hash(name), ev.Kind != analytics.Engagement
		return
	}
	at := time.UnixMilli(ev.Time).UTC()
	period := func(t time.Time) string {
		switch uniques {
		case analytics.UniquesWeekly:
			y, w := t.ISOWeek()
			return fmt.Sprintf("%d-W%d", y, w)
		case analytics.UniquesMonthly:
			return t.Format("2006-01")
		}
		return t.Format(time.DateOnly)
	}
	ev.Visitor = hash(name, period(at))
	if before := period(at.Add(-24 * time.Hour)); before != period(at) {
		ev.Previous = hash(name, before)
	}
}

// event reads what stands behind the time in a line of a load:
//
//	visitor [engagement] [path] attribute=value… [-> reason]
//
// reason is what becomes of the event, "" if it counts.
func event(words []string, at time.Time, uniques analytics.Uniques, host string) (ev *analytics.Event, reason analytics.Reason, err error) {
	if n := len(words); n >= 2 && words[n-2] == "->" {
		reason, words = analytics.Reason(words[n-1]), words[:n-2]
		if reason == analytics.Counted || !slices.Contains(analytics.Reasons, reason) {
			return nil, "", fmt.Errorf("%q is no reason why an event is not counted", reason)
		}
	}
	if len(words) < 2 {
		return nil, "", fmt.Errorf("a line of a load has a time, a visitor, a path and attributes")
	}
	visitor, words := words[0], words[1:]
	ev = &analytics.Event{Time: at.UnixMilli(), Host: host, Page: "/", ScrollDepth: analytics.ScrollNone}
	if words[0] == analytics.NameEngagement {
		ev.Kind, words = analytics.Engagement, words[1:]
	}
	if len(words) > 0 && strings.HasPrefix(words[0], "/") {
		ev.Page, words = words[0], words[1:]
	}
	for _, w := range words {
		if w == "given" {
			ev.Explicit = true
			continue
		}
		key, value, err := setting(w)
		if err == nil {
			err = set(ev, key, value)
		}
		if err != nil {
			return nil, "", err
		}
	}
	identify(ev, visitor, uniques)
	return ev, reason, nil
}

// set gives an event one attribute by the name that the API has for it.
func set(ev *analytics.Event, key, value string) error {
	if prop, ok := strings.CutPrefix(key, "props."); ok {
		ev.Props = append(ev.Props, analytics.Prop{Key: prop, Value: value})
		return nil
	}
	if text := attribute(ev, key); text != nil {
		*text = value
		return nil
	}
	switch key {
	case "event":
		if ev.Kind == analytics.Engagement || value == analytics.NamePageview || value == analytics.NameEngagement {
			return fmt.Errorf("event=%s: a custom event has a name of its own", value)
		}
		ev.Kind, ev.Name = analytics.Custom, value
	case "interactive":
		if value != "no" || ev.Kind != analytics.Custom {
			return fmt.Errorf("interactive=%s: only interactive=no, after event=", value)
		}
		ev.NonInteractive = true
	case "scroll":
		n, err := strconv.ParseUint(value, 10, 8)
		if err != nil || n > 100 || ev.Kind != analytics.Engagement {
			return fmt.Errorf("scroll=%s: a percentage of an engagement", value)
		}
		ev.ScrollDepth = uint8(n)
	case "engaged":
		d, err := time.ParseDuration(value)
		if err != nil || d < 0 || ev.Kind != analytics.Engagement {
			return fmt.Errorf("engaged=%s: a time of an engagement, as in 12s", value)
		}
		ev.EngagedMS = uint32(d.Milliseconds())
	case "revenue":
		return revenue(ev, value)
	case "id":
		ev.ID = hash("id", value)
	default:
		return fmt.Errorf("unknown attribute %q", key)
	}
	return nil
}

// attribute finds the text of an event that an API name stands for; nil for none.
func attribute(ev *analytics.Event, key string) *string {
	a, g, p := &ev.Acquisition, &ev.Agent, &ev.Place
	switch key {
	case "hostname":
		return &ev.Host
	case "source":
		return &a.Source
	case "referrer":
		return &a.Referrer
	case "channel":
		return &a.Channel
	case "utm_medium":
		return &a.Medium
	case "utm_source":
		return &a.UTMSource
	case "utm_campaign":
		return &a.Campaign
	case "utm_content":
		return &a.Content
	case "utm_term":
		return &a.Term
	case "browser":
		return &g.Browser
	case "browser_version":
		return &g.BrowserVersion
	case "os":
		return &g.OS
	case "os_version":
		return &g.OSVersion
	case "device":
		return &g.Device
	case "country":
		return &p.Country
	case "region":
		return &p.Region
	case "city":
		return &p.City
	case "language":
		return &ev.Language
	case "screen_class":
		return &ev.Screen
	}
	return nil
}

// revenue reads "12.50EUR" exactly.
func revenue(ev *analytics.Event, value string) error {
	if len(value) < 4 || ev.Kind != analytics.Custom {
		return fmt.Errorf("revenue=%s: an amount and a currency of a custom event, as in 12.50EUR", value)
	}
	amount, currency := value[:len(value)-3], value[len(value)-3:]
	r, ok := new(big.Rat).SetString(amount)
	if !ok || strings.ToUpper(currency) != currency {
		return fmt.Errorf("revenue=%s: an amount and a currency, as in 12.50EUR", value)
	}
	r.Mul(r, big.NewRat(1_000_000, 1))
	if !r.IsInt() || !r.Num().IsInt64() {
		return fmt.Errorf("revenue=%s: at most six decimals", value)
	}
	ev.Revenue = analytics.Revenue{Amount: r.Num().Int64(), Currency: currency}
	return nil
}
