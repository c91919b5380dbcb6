package query

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"footfall/analytics/calendar"
	"footfall/analytics/site"
)

// LateMetrics gives the counts of a closed month that are compared with those of
// now, in their order. The caller owns the slice.
func LateMetrics() []Metric { return []Metric{Visits, Visitors, Pageviews} }

// MonthSeal is how a month was closed, and what came after.
type MonthSeal struct {
	*site.Seal
	Previous [sha256.Size]byte // digest of the month before; zeros for the first
	// Late is what came since, of LateMetrics: the figures of now without those of
	// the seal, negative where visitors were erased. nil if there is no difference,
	// or none that can be told: when days of the month are gone, or the site has
	// moved to another time zone.
	Late []int64
}

// sealedMonth is the figures of a seal, in the form that they are written in
// when a month is closed.
type sealedMonth struct {
	timezone string
	values   []Value // of MonthMetrics
	newPages int
	pages    []BestPage
	sources  []BestSource
}

// figures gives those of a month that is shown as it was closed; nil if nothing
// happened in it.
func (m *sealedMonth) figures() []Value {
	if m == nil || m.values[0].Number == 0 && m.values[2].Number == 0 {
		return nil
	}
	return m.values
}

// sealOf finds the seal of a month.
func (s *pictured) sealOf(start calendar.Date) (seal *site.Seal, previous [sha256.Size]byte) {
	seals := s.p.View.Seals
	if len(seals) == 0 {
		return nil, previous
	}
	i := int(site.MonthNumber(start.Year, start.Month)) - int(seals[0].Month) // there are no holes
	if i < 0 || i >= len(seals) {
		return nil, previous
	}
	if i > 0 {
		previous = seals[i-1].Digest
	}
	return &seals[i], previous
}

// instead gives the seal that a month is shown by because days of it are gone;
// nil if there is none, or no need.
func (s *pictured) instead(month calendar.Period) (*sealedMonth, error) {
	seal, _ := s.sealOf(month.First)
	if seal == nil || !s.shortened(month.From) {
		return nil, nil
	}
	return s.readSeal(seal)
}

// close puts in what the seal of a month says, if it is closed.
func (s *pictured) close(out *MonthStatus) error {
	seal, previous := s.sealOf(out.Start)
	if seal == nil {
		return nil
	}
	out.Seal = &MonthSeal{Seal: seal, Previous: previous}
	was, err := s.readSeal(seal)
	if err != nil {
		return err
	}
	if s.p.View.Kept > 0 {
		out.NewPages = was.newPages // what was viewed on days that are gone is not known any more
	}
	if s.shortened(calendar.MonthPeriod(out.Start, 1, s.m.Zone).From) {
		out.BestPages, out.BestSources = was.pages, was.sources
		return nil
	}
	if was.timezone != s.m.Zone.String() {
		return nil
	}
	late, any := make([]int64, 0, len(LateMetrics())), false
	for _, metric := range LateMetrics() {
		for i, shown := range MonthMetrics() {
			if shown == metric {
				n := int64(out.Figures[i].Number) - int64(was.values[i].Number)
				late, any = append(late, n), any || n != 0
			}
		}
	}
	if any {
		out.Seal.Late = late
	}
	return nil
}

// readSeal reads the figures of a seal, once for as long as it is remembered.
func (s *pictured) readSeal(seal *site.Seal) (*sealedMonth, error) {
	key := "month:c" + string(seal.Digest[:])
	if v, ok := s.p.Days.Recall(key); ok {
		return v.(*sealedMonth), nil
	}
	m, err := readSealed(seal.Figures)
	if err != nil {
		return nil, fmt.Errorf("figures of the closed month %s: %w", site.MonthLabel(seal.Month), err)
	}
	s.p.Days.Remember(key, m, 512+2*len(seal.Figures))
	return m, nil
}

func readSealed(text []byte) (*sealedMonth, error) {
	var in struct {
		Timezone  string `json:"timezone"`
		NewPages  int    `json:"new_pages"`
		BestPages []struct {
			Page      string   `json:"page"`
			Pageviews *float64 `json:"pageviews"`
			Visitors  *float64 `json:"visitors"`
		} `json:"best_pages"`
		BestSources []struct {
			Source   string   `json:"source"`
			Visitors *float64 `json:"visitors"`
			Visits   *float64 `json:"visits"`
		} `json:"best_sources"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, err
	}
	var figures map[string]json.RawMessage
	if err := json.Unmarshal(text, &figures); err != nil {
		return nil, err
	}
	out := &sealedMonth{timezone: in.Timezone, newPages: in.NewPages}
	for _, metric := range MonthMetrics() {
		var n *float64
		raw, ok := figures[string(metric)]
		if !ok {
			return nil, fmt.Errorf("%s is missing", metric)
		}
		if err := json.Unmarshal(raw, &n); err != nil {
			return nil, fmt.Errorf("%s: %w", metric, err)
		}
		out.values = append(out.values, sealedValue(n))
	}
	for _, p := range in.BestPages {
		out.pages = append(out.pages, BestPage{p.Page, sealedValue(p.Pageviews), sealedValue(p.Visitors)})
	}
	for _, p := range in.BestSources {
		out.sources = append(out.sources, BestSource{p.Source, sealedValue(p.Visitors), sealedValue(p.Visits)})
	}
	return out, nil
}

func sealedValue(n *float64) Value {
	if n == nil {
		return Value{Null: true}
	}
	return Value{Number: *n}
}
