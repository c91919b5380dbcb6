package query

import (
	"cmp"
	"context"
	"slices"
	"time"

	"footfall/analytics"
	"footfall/analytics/calendar"
	"footfall/analytics/session"
)

const (
	// RealtimeMinutes is how many minutes realtime shows, the current one included.
	RealtimeMinutes = 30
	realtimeTop     = 10
	minuteMS        = 60_000
	realtimeSpanMS  = 5 * minuteMS
)

// Realtime asks what is going on.
type Realtime struct {
	Now    int64 // Unix ms
	Zone   *time.Location
	Filter *Filter
}

// RealtimeResult shows the last RealtimeMinutes minutes. Everything is about page
// views and custom events that match the filter.
type RealtimeResult struct {
	Visitors int // distinct ones with an event in the last five minutes
	Minutes  []RealtimeMinute
	// Of those visitors: by the page of their last event in these minutes, and by
	// source and country of its visit; most visitors first, at most ten.
	Pages, Sources, Countries []Share
	Index                     uint64 // as in Answer
}

// RealtimeMinute is one minute by the clock, oldest first.
type RealtimeMinute struct {
	Label     string // "2006-01-02 15:04:05", local
	Pageviews int
	Visitors  int // distinct ones with an event in the minute
}

// Share is how many have a value.
type Share struct {
	Value string
	Count int
}

// Realtime evaluates r. Errors are those of reading.
func (p *Picture) Realtime(ctx context.Context, r *Realtime) (*RealtimeResult, error) {
	end := r.Now + 1
	from := floorMinute(r.Now, r.Zone) - (RealtimeMinutes-1)*minuteMS
	buckets := calendar.Buckets(from, end, calendar.Minute, r.Zone)
	out := &RealtimeResult{Index: p.Index(), Minutes: make([]RealtimeMinute, len(buckets))}
	inMinute := make([]map[uint64]struct{}, len(buckets))
	for i, b := range buckets {
		out.Minutes[i].Label = b.Label
		inMinute[i] = map[uint64]struct{}{}
	}
	latest := map[uint64]sighting{}
	err := p.Scan(ctx, from, end, r.Filter, func(v Visit, events []int) error {
		l, who := v.Layer, v.visitor()
		for _, e := range events {
			if kind(l, e) == analytics.Engagement {
				continue
			}
			t := l.At[e]
			i := slices.IndexFunc(buckets, func(b calendar.Bucket) bool { return t < b.To })
			if kind(l, e) == analytics.Pageview {
				out.Minutes[i].Pageviews++
			}
			inMinute[i][who] = struct{}{}
			if last, ok := latest[who]; t >= r.Now-realtimeSpanMS && (!ok || t >= last.at) {
				latest[who] = sighting{t, v.Day.Lexicon, l.Page[e], l.Acquisition[v.I], l.Place[v.I]}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range out.Minutes {
		out.Minutes[i].Visitors = len(inMinute[i])
	}
	out.Visitors = len(latest)
	out.Pages = shares(latest, EventPage, func(s sighting) uint32 { return s.page })
	out.Sources = shares(latest, Source, func(s sighting) uint32 { return s.acquisition })
	out.Countries = shares(latest, Country, func(s sighting) uint32 { return s.place })
	return out, nil
}

// floorMinute gives the start of the minute of the local clock.
func floorMinute(ms int64, zone *time.Location) int64 {
	_, offset := time.UnixMilli(ms).In(zone).Zone()
	shift := int64(offset) * 1000
	local := ms + shift
	return local - ((local%minuteMS)+minuteMS)%minuteMS - shift
}

// sighting is the last event of a visitor.
type sighting struct {
	at                       int64
	lex                      *session.Lexicon
	page, acquisition, place uint32
}

// shares counts visitors by the value of a dimension.
func shares(all map[uint64]sighting, by Dimension, text func(sighting) uint32) []Share {
	d, _ := define(by)
	counts := map[string]int{}
	for _, s := range all {
		value := d.text(s.lex.Text(text(s)))
		if value == "" {
			value = d.missing
		}
		counts[value]++
	}
	return topShares(counts, realtimeTop)
}

// topShares gives the n greatest, of equal ones those first in the alphabet.
func topShares(counts map[string]int, n int) []Share {
	out := make([]Share, 0, len(counts))
	for value, c := range counts {
		out = append(out, Share{value, c})
	}
	slices.SortFunc(out, func(a, b Share) int { return cmp.Or(b.Count-a.Count, cmp.Compare(a.Value, b.Value)) })
	return out[:min(n, len(out))]
}
