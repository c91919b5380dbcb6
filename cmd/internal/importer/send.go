package importer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"footfall/analytics"
	"footfall/cmd/internal/client"
)

// sender gives batches to the node, one after the other, and keeps the count.
// It belongs to one goroutine.
type sender struct {
	o        Options
	result   Result
	rejected *rejectedFile
	packer   *gzip.Writer
	packed   bytes.Buffer
}

func newSender(inputs []string, o Options) *sender {
	s := &sender{o: o, result: Result{Dropped: map[string]int64{}}, rejected: newRejectedFile(inputs, o.Rejected)}
	s.packer, _ = gzip.NewWriterLevel(&s.packed, gzip.BestSpeed) // the level is a valid one
	return s
}

// outcome is what the node says about one event.
type outcome struct {
	Status string `json:"status"`
	Reason string `json:"reason"`
}

type answer struct {
	Results []outcome `json:"results"`
	Token   string    `json:"token"`
}

// send gives b to the node and counts its lines. Nothing of b is counted when
// it fails.
func (s *sender) send(ctx context.Context, b *batch) error {
	if len(b.events) > 0 {
		got, resent, err := s.post(ctx, b)
		if err != nil {
			return err
		}
		if err := s.count(b, got.Results, resent); err != nil {
			return err
		}
		if got.Token != "" {
			s.result.Token = got.Token
		}
	}
	for i, n := range b.skipped {
		if n > 0 {
			s.result.Dropped[string(skips[i])] += n
		}
	}
	slices.SortStableFunc(b.refused, func(x, y refusal) int {
		if x.input != y.input {
			return int(x.input - y.input)
		}
		return int(x.line - y.line)
	})
	for _, r := range b.refused {
		if err := s.rejected.write(r); err != nil {
			return err
		}
	}
	s.result.Rejected += int64(len(b.refused))
	s.result.RejectedFile = s.rejected.name()
	s.result.Lines += b.lines
	s.o.Progress.Done(b.lines)
	return nil
}

// post sends until the node answers. resent tells that the node may have taken
// the batch before.
func (s *sender) post(ctx context.Context, b *batch) (got answer, resent bool, err error) {
	b.body = append(b.body, ']')
	s.packed.Reset()
	s.packer.Reset(&s.packed)
	if _, err := s.packer.Write(b.body); err != nil {
		return got, false, fmt.Errorf("compress a batch: %w", err)
	}
	if err := s.packer.Close(); err != nil {
		return got, false, fmt.Errorf("compress a batch: %w", err)
	}
	header := http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}
	var since time.Time
	for try := 0; ; try++ {
		body, err := s.o.Node.Send(ctx, http.MethodPost, "/v1/events", header, s.packed.Bytes())
		if err == nil || judged(err) {
			got = answer{}
			jsonErr := json.Unmarshal(body, &got)
			switch {
			case jsonErr == nil && len(got.Results) == len(b.events):
				if err = later(got.Results); err == nil {
					return got, resent, nil
				}
				resent = true // a part of the batch is counted
			case err == nil:
				return got, resent, fmt.Errorf("the node's answer to %d events is not understood: %d results (%v)", len(b.events), len(got.Results), jsonErr)
			}
		}
		if ctx.Err() != nil {
			return got, resent, ctx.Err()
		}
		if !passing(err) {
			return got, resent, fmt.Errorf("send the events of lines %d to %d: %w", b.events[0].line, b.events[len(b.events)-1].line, err)
		}
		var lost *client.Unreachable
		resent = resent || errors.As(err, &lost)
		now := s.o.Now()
		if try == 0 {
			since = now
			s.o.Progress.Notice(fmt.Sprintf("%v; trying again for %v", err, s.o.Patience))
		}
		wait := backoff(try, s.o.Jitter())
		var refused *client.Error
		if errors.As(err, &refused) {
			wait = max(wait, min(refused.RetryAfter, time.Minute))
		}
		if now.Add(wait).Sub(since) > s.o.Patience {
			return got, resent, fmt.Errorf("gave up after %v: %w", s.o.Patience, err)
		}
		if err := s.o.Wait(ctx, wait); err != nil {
			return got, resent, err
		}
	}
}

// judged tells whether a refusal may carry results: no event of the batch was
// right, or none allowed.
func judged(err error) bool {
	status := client.StatusOf(err)
	return status == http.StatusBadRequest || status == http.StatusForbidden
}

// later gives an error that may pass when the node could not record an event
// now.
func later(results []outcome) error {
	for _, r := range results {
		if r.Status == "rejected" && strings.HasPrefix(r.Reason, "unavailable") {
			return &client.Error{Status: http.StatusServiceUnavailable, Text: "the node cannot record events now"}
		}
	}
	return nil
}

// backoff doubles from a quarter of a second to ten seconds, less up to half by
// chance.
func backoff(try int, chance float64) time.Duration {
	d := 10 * time.Second
	if try < 6 {
		d = min(d, 250*time.Millisecond<<try)
	}
	return d - time.Duration(chance*float64(d)/2)
}

// passing tells whether an error may go away by itself.
func passing(err error) bool {
	var lost *client.Unreachable
	if errors.As(err, &lost) {
		return true
	}
	switch client.StatusOf(err) {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// count adds what became of the events of b, or nothing when the node does not
// take events of this site at all.
func (s *sender) count(b *batch, results []outcome, resent bool) error {
	for _, r := range results {
		if r.Reason == string(analytics.DropUnknownSite) {
			return fmt.Errorf("site: the node knows no site %s (footfall site add %s --timezone ZONE makes it)", s.o.Site, s.o.Site)
		}
		if r.Status == "rejected" && strings.HasPrefix(r.Reason, "site:") {
			return errors.New(r.Reason)
		}
	}
	for i, r := range results {
		e := &b.events[i]
		switch {
		case r.Status == "accepted" && e.view:
			s.result.Views++
		case r.Status == "accepted":
			s.result.Events++
		case r.Status == "duplicate":
			s.result.Duplicates++
			if resent {
				s.result.Resent++
			}
		case dropReason(r.Reason):
			s.result.Dropped[r.Reason]++
		default:
			b.reject(e.input, e.line, plainReason(r.Reason), b.raw[e.from:e.to])
		}
	}
	return nil
}

// dropReason tells whether a reason is one that the site's numbers know, and
// not that the event is broken.
func dropReason(reason string) bool {
	r := analytics.Reason(reason)
	return r != analytics.Counted && r != analytics.DropInvalid && slices.Contains(analytics.Reasons, r)
}

// plainReason cuts an event's place in its batch, "events[17].", from what is
// wrong with it; the user knows lines only.
func plainReason(reason string) string {
	rest, ok := strings.CutPrefix(reason, "events[")
	if !ok {
		return reason
	}
	place := strings.TrimLeft(rest, "0123456789")
	if rest, ok = strings.CutPrefix(place, "]."); !ok {
		if rest, ok = strings.CutPrefix(place, "]: "); !ok {
			return reason
		}
	}
	return rest
}
