package chaos

import (
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2031, 5, 1, 12, 30, 0, 0, time.UTC)

// known is a ledger of two sites: at the first /a twice and /b once within an
// hour, and /c once between two.
func known() *ledger {
	l := newLedger([]string{"one.example", "two.example"})
	l.acked(view{Page: "/a"}, noon, noon, "3", 10)
	l.acked(view{Page: "/a"}, noon, noon, "3", 20)
	l.acked(view{Page: "/b", Time: noon.Add(-3 * time.Hour)}, noon, noon, "3", 20)
	l.acked(view{Page: "/c"}, noon.Add(29*time.Minute), noon.Add(31*time.Minute), "", 0)
	l.acked(view{Site: 1, Page: "/a"}, noon, noon, "4", 7)
	return l
}

func TestTheLedgerFindsWhatIsLostAndWhatIsDoubled(t *testing.T) {
	at := func(page string, hours int) cell {
		return cell{Page: page, Hour: hourOf(noon.Add(time.Duration(hours) * time.Hour))}
	}
	for name, c := range map[string]struct {
		got           map[cell]int
		lost, doubled int
		names         string
	}{
		"exact, before the hour":   {got: map[cell]int{at("/a", 0): 2, at("/b", -3): 1, at("/c", 0): 1}},
		"exact, after the hour":    {got: map[cell]int{at("/a", 0): 2, at("/b", -3): 1, at("/c", 1): 1}},
		"one of a page is lost":    {got: map[cell]int{at("/a", 0): 1, at("/b", -3): 1, at("/c", 1): 1}, lost: 1, names: "one.example/a at 12:00: counted 1, acknowledged 2"},
		"a page is lost":           {got: map[cell]int{at("/a", 0): 2, at("/c", 1): 1}, lost: 1, names: "one.example/b at 09:00"},
		"one between hours lost":   {got: map[cell]int{at("/a", 0): 2, at("/b", -3): 1}, lost: 1, names: "one.example/c"},
		"one between hours twice":  {got: map[cell]int{at("/a", 0): 2, at("/b", -3): 1, at("/c", 0): 1, at("/c", 1): 1}, doubled: 1, names: "one.example/c"},
		"one is doubled":           {got: map[cell]int{at("/a", 0): 3, at("/b", -3): 1, at("/c", 1): 1}, doubled: 1, names: "one.example/a"},
		"one nobody sent":          {got: map[cell]int{at("/a", 0): 2, at("/b", -3): 1, at("/c", 1): 1, at("/x", 0): 1}, doubled: 1, names: "one.example/x"},
		"the wrong hour":           {got: map[cell]int{at("/a", 0): 2, at("/b", 0): 1, at("/c", 1): 1}, lost: 1, doubled: 1, names: "one.example/b"},
		"lost here, doubled there": {got: map[cell]int{at("/a", 0): 1, at("/b", -3): 2, at("/c", 1): 1}, lost: 1, doubled: 1, names: "one.example/b at 09:00: counted 2, acknowledged 1"},
	} {
		b := known().compare(0, c.got)
		if b.Lost != c.lost || b.Doubled != c.doubled || !strings.Contains(strings.Join(b.Names, "\n"), c.names) {
			t.Errorf("%s: %d lost, %d doubled, %q; want %d, %d, %q", name, b.Lost, b.Doubled, b.Names, c.lost, c.doubled, c.names)
		}
	}
}

func TestAnswersAreHeldAgainstTokensAndOneAnother(t *testing.T) {
	for name, c := range map[string]struct {
		all   []answer
		fault string
	}{
		"fine":                      {all: []answer{{0, 0, 10, 1}, {0, 1, 9, 0}, {0, 2, 20, 4}, {1, 0, 7, 1}}},
		"a view in flight":          {all: []answer{{0, 0, 10, 3}, {0, 1, 10, 3}}},
		"below a token":             {all: []answer{{0, 2, 20, 2}}, fault: "node 3 said 2 as of 20, which holds at least 3"},
		"two numbers for one index": {all: []answer{{0, 0, 10, 1}, {0, 1, 10, 2}}, fault: "node 1 said 1 as of 10, node 2 2 as of 10"},
		"it went back":              {all: []answer{{0, 0, 12, 1}, {0, 1, 10, 2}}, fault: "node 2 said 2 as of 10, node 1 1 as of 12"},
	} {
		a := answers{all: c.all}
		got := strings.Join(a.check(known()), "\n")
		if c.fault == "" && got != "" || !strings.Contains(got, c.fault) {
			t.Errorf("%s: got %q, want %q", name, got, c.fault)
		}
	}
}

func TestTheCheckerRefusesWhatCannotBe(t *testing.T) {
	read := func(from, to int64, count int) operation {
		return operation{input{"p", 0}, from, to, output{count: count}}
	}
	add := func(from, to int64, unknown bool) operation {
		return operation{input{"p", 1}, from, to, output{unknown: unknown}}
	}
	site := func(from, to int64, change int, out output) operation {
		return operation{input{"s", change}, from, to, out}
	}
	for name, c := range map[string]struct {
		all []operation
		ok  bool
	}{
		"a read after an add":            {[]operation{add(1, 2, false), read(3, 4, 1)}, true},
		"a lost add":                     {[]operation{add(1, 2, false), read(3, 4, 0)}, false},
		"a doubled add":                  {[]operation{add(1, 2, false), read(3, 4, 2)}, false},
		"an add under way":               {[]operation{add(1, 9, false), read(3, 4, 1), read(5, 6, 1)}, true},
		"an answer that goes back":       {[]operation{add(1, 9, false), read(3, 4, 1), read(5, 6, 0)}, false},
		"an add in the spool, late":      {[]operation{add(1, 2, true), read(3, 4, 0), read(5, 6, 1)}, true},
		"a site is made twice":           {[]operation{site(1, 2, 1, output{}), site(3, 4, 1, output{})}, false},
		"a site is refused":              {[]operation{site(1, 2, 1, output{}), site(3, 4, 1, output{refused: true})}, true},
		"refused though nobody made it":  {[]operation{site(3, 4, 1, output{refused: true})}, false},
		"perhaps made, so refused":       {[]operation{site(1, 2, 1, output{unknown: true}), site(3, 4, 1, output{refused: true})}, true},
		"removed twice":                  {[]operation{site(1, 2, 1, output{}), site(3, 4, -1, output{}), site(5, 6, -1, output{})}, false},
		"perhaps removed, so made again": {[]operation{site(1, 2, 1, output{}), site(3, 4, -1, output{unknown: true}), site(5, 6, 1, output{})}, true},
	} {
		h := history{}
		for i, o := range c.all {
			h.add(i, o.in, o.call, o.end, o.out)
		}
		model := registerModel()
		if c.all[0].in.key == "s" {
			model = siteModel()
		}
		if got := h.explained(model); got != c.ok {
			t.Errorf("%s: explained is %v", name, got)
		}
	}
}

type operation struct {
	in        input
	call, end int64
	out       output
}
