package query_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/query"
)

func TestAQuestionWithTooManyRowsIsRefused(t *testing.T) {
	tr := newTraffic(t)
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC).UnixMilli()
	for i := range 12 {
		tr.send(now, analytics.Event{Time: now, ID: uint64(i + 1), Visitor: uint64(i + 1), Page: fmt.Sprintf("/%d", i), Host: "h",
			Acquisition: analytics.Acquisition{Source: fmt.Sprint("s", i)}, ScrollDepth: analytics.ScrollNone})
	}
	for _, d := range []query.Dimension{query.EventPage, query.Source} {
		q := &query.Question{From: now, To: now + 1, Zone: time.UTC, Metrics: []query.Metric{query.Visitors}, Dimensions: []query.Dimension{d}, RowsMax: 12, Limit: 3}
		if a, err := tr.picture().Ask(context.Background(), q); err != nil || a.TotalRows != 12 || len(a.Rows) != 3 {
			t.Fatalf("%s: as many rows as are allowed: %v", d, err)
		}
		q.RowsMax = 11
		_, err := tr.picture().Ask(context.Background(), q)
		if analytics.CodeOf(err) != analytics.TooLarge || !strings.HasPrefix(err.Error(), "dimensions: more than 11 rows") {
			t.Fatalf("%s: one row too many: %v", d, err)
		}
	}
}
