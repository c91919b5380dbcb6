package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"footfall/internal/testnode"
)

// answer is one total of a site.
type answer struct {
	site  int
	node  int
	index uint64 // as of
	count int64
}

// answers keeps what was read. Safe for concurrent use.
type answers struct {
	mu  sync.Mutex
	all []answer
}

func (a *answers) add(x answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, x)
}

// readEvery is the pause of a reader.
const readEvery = 20 * time.Millisecond

// read asks for totals of sites, each time another node, as one session: every
// question carries the newest token that is known of the site, of a write or of an
// answer before.
func (t *traffic) read(random *rand.Rand) {
	last := make([]answer, len(t.r.ledger.domains))
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	for t.pace(tick.C) {
		site, node := random.IntN(len(last)), random.IntN(len(t.r.c.Nodes))
		account := &t.r.ledger.sites[site]
		shard, token := account.newest()
		if token == 0 {
			continue
		}
		token = max(token, last[site].index)
		least := account.at(token)
		count, index, err := t.total(node, t.question(site, shard, token))
		if err != nil {
			t.unread.Add(1)
			continue
		}
		t.reads.Add(1)
		got, before := answer{site, node, index, count}, last[site]
		domain, most := t.r.ledger.domains[site], account.begun.Load()
		switch {
		case got.count < least:
			t.r.t.Errorf("%s: node %d says %d as of %d, but token %d has at least %d", domain, node+1, got.count, index, token, least)
		case got.count > most:
			t.r.t.Errorf("%s: node %d says %d, but only %d were sent", domain, node+1, got.count, most)
		case got.index < before.index || got.count < before.count:
			t.r.t.Errorf("%s: the answer went back from %d as of %d (node %d) to %d as of %d (node %d)",
				domain, before.count, before.index, before.node+1, got.count, got.index, node+1)
		}
		last[site] = got
		t.answers.add(got)
	}
}

// question asks for the page views of a site in a state that holds a token.
func (t *traffic) question(site int, shard string, token uint64) testnode.Request {
	q := testnode.Request{Path: "/api/v2/query", Key: t.reader, Header: map[string]string{}, Body: map[string]any{
		"site_id": t.r.ledger.domains[site], "metrics": []string{"pageviews"}, "date_range": "all"}}
	if token > 0 {
		q.Header["X-Footfall-Token"] = shard + "-" + strconv.FormatUint(token, 10)
	}
	return q
}

// total asks a node for one number.
func (t *traffic) total(node int, q testnode.Request) (count int64, index uint64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), attemptMax)
	defer cancel()
	a, err := t.direct(ctx, node, q)
	if err != nil {
		return 0, 0, err
	}
	if a.Status != http.StatusOK {
		if a.Status != http.StatusServiceUnavailable { // the only honest way to have no answer now
			t.r.t.Errorf("node %d answers a question with %d %s", node+1, a.Status, a.Body)
		}
		return 0, 0, fmt.Errorf("query: %d %s", a.Status, a.Body)
	}
	var out struct{ Results []testnode.Row }
	if err := json.Unmarshal(a.Body, &out); err != nil || len(out.Results) > 1 || len(out.Results) == 1 && len(out.Results[0].Metrics) != 1 {
		return 0, 0, fmt.Errorf("query: %s: %w", a.Body, err)
	}
	if len(out.Results) == 1 {
		count = int64(out.Results[0].Metrics[0])
	}
	index, err = strconv.ParseUint(a.Header.Get("X-Footfall-Index"), 10, 64)
	return count, index, err
}

// check holds all answers against one another, whoever asked and whoever
// answered: as of one index there is one number, as of a later one none smaller,
// and each holds the views whose tokens it names.
func (a *answers) check(l *ledger) (faults []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	slices.SortStableFunc(a.all, func(x, y answer) int {
		if x.site != y.site {
			return x.site - y.site
		}
		return int(int64(x.index) - int64(y.index))
	})
	for i, x := range a.all {
		if least := l.sites[x.site].at(x.index); x.count < least {
			faults = append(faults, fmt.Sprintf("%s: node %d said %d as of %d, which holds at least %d", l.domains[x.site], x.node+1, x.count, x.index, least))
		}
		if i == 0 || a.all[i-1].site != x.site {
			continue
		}
		before := a.all[i-1]
		if x.count < before.count || x.index == before.index && x.count != before.count {
			faults = append(faults, fmt.Sprintf("%s: node %d said %d as of %d, node %d %d as of %d",
				l.domains[x.site], before.node+1, before.count, before.index, x.node+1, x.count, x.index))
		}
	}
	return faults
}
