package chaos

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"footfall/internal/testnode"
)

// Clients whose operations the checker judges one by one.
const (
	registerClients = 3
	siteClients     = 2
	registersMax    = 12 // pages
	namesOfSites    = 6
	operationsMax   = 20_000
	registerEvery   = 150 * time.Millisecond
	siteEvery       = 400 * time.Millisecond
	checkMax        = 2 * time.Minute
)

// input is what was asked of a register or of a site's name.
type input struct {
	key    string // of the register
	change int    // +1 adds a view or makes the site, -1 removes the site, 0 reads
}

// output is what came of it.
type output struct {
	count   int
	unknown bool
	refused bool // the site was there already
}

// history collects operations. Safe for concurrent use.
type history struct {
	begin time.Time
	mu    sync.Mutex
	all   []porcupine.Operation
}

func (h *history) now() int64 { return time.Since(h.begin).Nanoseconds() }

// add writes an operation down. One whose end is not known never ends.
func (h *history) add(client int, in input, call, end int64, out output) {
	if out.unknown {
		end = math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: end})
}

// full tells that no more operations are to begin; those under way are written
// down, because others may have seen what they did.
func (h *history) full() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.all) >= operationsMax
}

// check fails the test when no order explains the operations, and gives their
// number.
func (h *history) check(t testing.TB, what string, model porcupine.Model) int {
	t.Helper()
	if !h.explained(model) {
		t.Errorf("%s: no order of the %d operations explains their answers, or none was found in %v", what, len(h.all), checkMax)
	}
	return len(h.all)
}

// explained tells whether some order of the operations explains their answers.
func (h *history) explained(model porcupine.Model) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return porcupine.CheckOperationsTimeout(model, h.all, checkMax) == porcupine.Ok
}

// byKey splits a history: registers have nothing to do with one another.
func byKey(all []porcupine.Operation) (parts [][]porcupine.Operation) {
	at := map[string]int{}
	for _, o := range all {
		key := o.Input.(input).key
		i, ok := at[key]
		if !ok {
			i = len(parts)
			at[key], parts = i, append(parts, nil)
		}
		parts[i] = append(parts[i], o)
	}
	return parts
}

func registerModel() porcupine.Model {
	return porcupine.Model{
		Partition: byKey,
		Init:      func() any { return 0 },
		Step: func(state, in, out any) (bool, any) {
			count, i, o := state.(int), in.(input), out.(output)
			if i.change == 0 {
				return o.count == count, count
			}
			return true, count + i.change
		},
	}
}

// siteModel is that of names of sites: one can be made only where it is not.
func siteModel() porcupine.Model {
	return porcupine.Model{
		Partition: byKey,
		Init:      func() any { return false },
		Step: func(state, in, out any) (bool, any) {
			there, i, o := state.(bool), in.(input), out.(output)
			switch {
			case o.unknown:
				return true, i.change > 0
			case o.refused:
				return there, there
			case i.change > 0:
				return !there, true
			}
			return there, false
		},
	}
}

// useRegisters adds to pages and reads them. Whoever reads asks for all that was
// finished before, so that answers of standbys are as good as those of leaders.
func (t *traffic) useRegisters(client int, random *rand.Rand) {
	h := &t.registers
	tick := time.NewTicker(registerEvery)
	defer tick.Stop()
	for t.pace(tick.C) && !h.full() {
		number := random.IntN(registersMax)
		site, page := number%len(t.r.ledger.domains), fmt.Sprintf("/register/%d", number)
		if random.IntN(2) == 0 {
			v := view{Site: site, Page: page, ID: fmt.Sprintf("%016x%016x", random.Uint64(), random.Uint64())}
			t.r.ledger.sites[site].begun.Add(1)
			sent, call, q := time.Now(), h.now(), t.request(v)
			a, ok := t.untilAcked(v.ID, func(ctx context.Context) (testnode.Answer, error) { return t.balanced(ctx, q) }, counted)
			if !ok {
				return
			}
			t.settled(v, sent, a.Token())
			h.add(client, input{page, 1}, call, h.now(), output{unknown: a.Token() == ""})
			continue
		}
		account := &t.r.ledger.sites[site]
		account.mu.Lock()
		shard, token := account.shard, account.seen()
		account.mu.Unlock()
		q := t.question(site, shard, token)
		q.Body.(map[string]any)["filters"] = []any{[]any{"is", "event:page", []string{page}}}
		call := h.now()
		count, index, err := t.total(random.IntN(len(t.r.c.Nodes)), q)
		if err != nil {
			t.unread.Add(1)
			continue
		}
		account.mu.Lock()
		account.read = max(account.read, index)
		account.mu.Unlock()
		h.add(client, input{page, 0}, call, h.now(), output{count: int(count)})
	}
}

// useSites makes and removes sites of a few names.
func (t *traffic) useSites(client int, random *rand.Rand) {
	h := &t.metas
	tick := time.NewTicker(siteEvery)
	defer tick.Stop()
	for t.pace(tick.C) && !h.full() {
		name := fmt.Sprintf("fleeting%d.example", random.IntN(namesOfSites))
		in, q := input{name, 1}, testnode.Request{Path: "/v1/sites", Key: testnode.AsOperator, Body: map[string]any{"domain": name, "timezone": "UTC"}}
		if random.IntN(2) == 0 {
			in.change, q = -1, testnode.Request{Method: http.MethodDelete, Path: "/v1/sites/" + url.PathEscape(name), Key: testnode.AsOperator}
		}
		ctx, cancel := context.WithTimeout(context.Background(), attemptMax)
		call := h.now()
		a, err := t.r.node(random.IntN(len(t.r.c.Nodes))).Do(ctx, q)
		cancel()
		out := output{}
		switch {
		case err != nil || a.Status > http.StatusInternalServerError:
			out.unknown = true
		case a.Status == http.StatusNotFound:
			continue // the node does not know it, yet or any more, and did nothing
		case a.Status == http.StatusConflict:
			out.refused = true
		case a.Status >= 300:
			t.r.t.Errorf("%s %s: got %d %s", q.Method, q.Path, a.Status, a.Body)
			return
		}
		h.add(client, in, call, h.now(), out)
	}
}

// seen is the highest index that anybody was shown. The caller holds a.mu.
func (a *account) seen() uint64 { return max(a.top, a.read) }
