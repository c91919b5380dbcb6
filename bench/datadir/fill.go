package datadir

import (
	"context"
	"fmt"
	"sync"
	"time"

	"footfall/analytics"
	"footfall/bench/history"
)

// Fill counts what a generator gives for a site, day by day; progress is told
// after each day. The next day is made while one is written.
func (d *Dir) Fill(ctx context.Context, id analytics.SiteID, g *history.Generator, progress func(events int)) error {
	ctx, cancel := context.WithCancel(ctx)
	var maker sync.WaitGroup
	defer maker.Wait()
	defer cancel()
	days, free := make(chan []analytics.Event), make(chan []analytics.Event, 2)
	free <- nil
	free <- nil
	maker.Go(func() {
		defer close(days)
		for {
			day, ok := g.Next()
			if !ok {
				return
			}
			var own []analytics.Event
			select {
			case own = <-free:
			case <-ctx.Done():
				return
			}
			select {
			case days <- append(own[:0], day...):
			case <-ctx.Done():
				return
			}
		}
	})
	var last time.Time
	for day := range days {
		if err := d.day(id, day, progress); err != nil {
			return err
		}
		if len(day) > 0 {
			last = time.UnixMilli(day[len(day)-1].Time)
		}
		free <- day
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return d.end(id, last)
}

// batchEvents is how many events share a log entry at most: as many as a busy
// site's.
const batchEvents = 4096

// day records a day's events in batches, each at the time of its first event:
// as a live site's entries they are never behind what they hold by more than a
// batch.
func (d *Dir) day(id analytics.SiteID, day []analytics.Event, progress func(events int)) error {
	for rest := day; len(rest) > 0; {
		part := rest[:min(len(rest), batchEvents)]
		rest = rest[len(part):]
		dropped, err := d.Record(id, time.UnixMilli(part[0].Time), part)
		if err != nil {
			return err
		}
		progress(len(part) - dropped)
	}
	return nil
}

// end lets the site know that its last day is over, which seals it: an
// engagement of nobody, which counts nowhere, arrives hours later.
func (d *Dir) end(id analytics.SiteID, last time.Time) error {
	if last.IsZero() {
		return nil
	}
	later := last.Truncate(24 * time.Hour).Add(26 * time.Hour)
	nobody := analytics.Event{Kind: analytics.Engagement, Time: later.UnixMilli(), ID: 1, Visitor: 1, Name: analytics.NameEngagement,
		Page: "/", Host: "nobody.example", ScrollDepth: analytics.ScrollNone}
	dropped, err := d.Record(id, later, []analytics.Event{nobody})
	if err == nil && dropped != 1 {
		return fmt.Errorf("the engagement that ends the history of site %d was counted", id)
	}
	return err
}
