package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"footfall/internal/testnode"
)

func difference(what string, hour time.Time, sure, either, got int) string {
	text := fmt.Sprintf("%s at %s: counted %d, acknowledged %d", what, hour.Format("15:04"), got, sure)
	if either > 0 {
		text += fmt.Sprintf(" to %d", sure+either)
	}
	return text
}

// judge holds what every node counts against what was acknowledged.
func (r *campaign) judge() {
	r.t.Helper()
	r.verify()
	for i := range r.c.Nodes {
		sum := balance{}
		for site := range r.ledger.domains {
			got := r.cells(i, site)
			b := r.ledger.compare(site, got)
			sum.Lost, sum.Doubled, sum.Names = sum.Lost+b.Lost, sum.Doubled+b.Doubled, append(sum.Names, b.Names...)
			total := 0
			for c, n := range got {
				total += n
				if strings.HasPrefix(c.Page, refusedPages) {
					r.t.Errorf("node %d counted %s%s, which was refused", i+1, r.ledger.domains[site], c.Page)
				}
			}
			r.addUp(i, r.ledger.domains[site], total)
			if acked := r.ledger.sites[site].acked.Load(); int64(total) != acked && b.Lost+b.Doubled == 0 {
				r.t.Errorf("node %d: %s has %d views, %d were acknowledged", i+1, r.ledger.domains[site], total, acked)
			}
		}
		if sum.Lost+sum.Doubled > 0 {
			r.t.Errorf("node %d: %d acknowledged views are lost, %d are counted too often:\n%s", i+1, sum.Lost, sum.Doubled,
				strings.Join(sum.Names[:min(len(sum.Names), namesMax)], "\n"))
		}
		r.report.Lost, r.report.Doubled = max(r.report.Lost, sum.Lost), max(r.report.Doubled, sum.Doubled)
	}
	faults := r.traffic.answers.check(r.ledger)
	for _, f := range faults[:min(len(faults), namesMax)] {
		r.t.Errorf("answers do not fit: %s", f)
	}
	r.report.Registers = r.traffic.registers.check(r.t, "registers", registerModel())
	r.report.Metas = r.traffic.metas.check(r.t, "sites", siteModel())
}

// cells reads what a node counts of a site, by page and hour.
func (r *campaign) cells(node, site int) map[cell]int {
	r.t.Helper()
	const limit = 10_000
	out := map[cell]int{}
	for offset := 0; ; offset += limit {
		a := r.ask(node, testnode.Question{Site: r.ledger.domains[site], Metrics: []string{"pageviews"}, Range: "all",
			Dimensions: []string{"event:page", "time:hour"}, Page: map[string]int{"limit": limit, "offset": offset}})
		for _, row := range a.Rows {
			hour, err := time.Parse(time.DateTime, row.Dimensions[1])
			if err != nil {
				r.t.Fatalf("an hour in an answer: %v", err)
			}
			c := cell{site, row.Dimensions[0], hourOf(hour)}
			if _, twice := out[c]; twice {
				r.t.Fatalf("node %d names %+v twice", node+1, c)
			}
			out[c] = int(row.Metrics[0])
		}
		if len(a.Rows) < limit {
			return out
		}
	}
}

// ask asks until there is an answer.
func (r *campaign) ask(node int, q testnode.Question) (out testnode.Result) {
	r.t.Helper()
	r.until(fmt.Sprintf("node %d answers", node+1), func() (err error) {
		ctx, cancel := context.WithTimeout(context.Background(), askMax)
		defer cancel()
		out, err = r.node(node).Ask(ctx, q)
		return err
	})
	return out
}

// addUp adds up the views of a site in every other way.
func (r *campaign) addUp(node int, domain string, want int) {
	r.t.Helper()
	for _, dimensions := range [][]string{nil, {"time:hour"}, {"time:day"}, {"event:page"}, {"visit:browser"}} {
		sum := 0
		for _, row := range r.ask(node, testnode.Question{Site: domain, Metrics: []string{"pageviews"}, Range: "all", Dimensions: dimensions,
			Page: map[string]int{"limit": 10_000}}).Rows {
			sum += int(row.Metrics[0])
		}
		if sum != want {
			r.t.Errorf("node %d: %s adds up to %d by %v, to %d by page and hour", node+1, domain, sum, dimensions, want)
		}
	}
}

// verify has the cluster compare the replicas of all shards by itself.
func (r *campaign) verify() {
	r.t.Helper()
	var out struct {
		Shards, Equal int
		Different     json.RawMessage
	}
	r.until("the cluster compares its replicas", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), calmMax)
		defer cancel()
		a, err := r.node(0).Do(ctx, testnode.Request{Method: http.MethodPost, Path: "/v1/cluster/verify", Key: testnode.AsOperator})
		if err == nil && a.Status != http.StatusOK {
			err = fmt.Errorf("verify: %d %s", a.Status, a.Body)
		}
		if err != nil {
			return err
		}
		return json.Unmarshal(a.Body, &out)
	})
	if out.Shards == 0 || out.Equal != out.Shards {
		r.t.Errorf("%d of %d shards are equal on all nodes: %s", out.Equal, out.Shards, out.Different)
	}
}
