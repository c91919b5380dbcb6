package queryscript

import (
	"strings"
	"testing"
	"time"
)

func TestWrongLinesAreErrorsThatNameFileAndLine(t *testing.T) {
	const begin = "site zone=Europe/Berlin\nnow 2026-03-03 12:00\n"
	ask := `ask {"metrics": ["visitors"], "date_range": "day"}`
	for _, c := range []struct{ script, want string }{
		{"load\n  2026-03-02 10:00 anna /\n", "x.txt:1: load before site"},
		{"site\nlod\n", `x.txt:2: unknown statement "lod"`},
		{"site colour=red\n", "x.txt:1: a site has no colour=red"},
		{"site zone=Europe/Atlantis\n", "x.txt:1: timezone"},
		{"site uniques=never\n", "x.txt:1: a site has no uniques=never"},
		{begin + "  2026-03-02 10:00 anna /\nload\n", "x.txt:4: load without events"},
		{"  site\n", "x.txt:1: an indented line"},
		{begin + "load now\n", "x.txt:3: the events of a load"},
		{begin + "load\n  2026-03-02 10:00 anna / colour=red\n", `x.txt:4: unknown attribute "colour"`},
		{begin + "load\n  2026-03-02 10:00 anna / source\n", `x.txt:4: "source" is not of the form name=value`},
		{begin + "load\n  2026-03-02 10:00 anna / source=\"a\n", "x.txt:4: a quote without its partner"},
		{begin + "load\n  2026-03-02 10:00 anna\n", "x.txt:4: a line of a load has"},
		{begin + "load\n  2026-03-02 anna /\n", `x.txt:4: "2026-03-02" is no time`},
		{begin + "load\n  10:00 anna /\n", `x.txt:4: "10:00" is no time`},
		{begin + "load\n  +1m anna /\n", `x.txt:4: "+1m" is no time after another one`},
		{begin + "load\n  2026-03-02 10:00 anna /\n  +m anna /\n", `x.txt:5: "+m" is no time`},
		{begin + "load\n  2026-03-02 25:00 anna /\n", "x.txt:4:"},
		{begin + "load\n  2026-03-29 02:30 anna /\n", "x.txt:4: 2026-03-29T02:30:00 does not occur in Europe/Berlin"},
		{begin + "load\n  2026-10-25 02:30 anna /\n", "x.txt:4: 2026-10-25T02:30:00 occurs twice in Europe/Berlin"},
		{begin + "load\n  2026-10-25 02:30+05:00 anna /\n", "x.txt:4: 2026-10-25T02:30:00+05:00 is not a local time"},
		{begin + "load\n  2026-03-02 10:00 anna / scroll=50\n", "x.txt:4: scroll=50: a percentage of an engagement"},
		{begin + "load\n  2026-03-02 10:00 anna engagement / scroll=150\n", "x.txt:4: scroll=150"},
		{begin + "load\n  2026-03-02 10:00 anna engagement / engaged=12\n", "x.txt:4: engaged=12"},
		{begin + "load\n  2026-03-02 10:00 anna / revenue=12EUR\n", "x.txt:4: revenue=12EUR"},
		{begin + "load\n  2026-03-02 10:00 anna / event=Buy revenue=1.0000001EUR\n", "x.txt:4: revenue=1.0000001EUR: at most six decimals"},
		{begin + "load\n  2026-03-02 10:00 anna / event=pageview\n", "x.txt:4: event=pageview"},
		{begin + "load\n  2026-03-02 10:00 anna / interactive=no\n", "x.txt:4: interactive=no"},
		{begin + "load\n  2026-03-02 10:00 anna engagement /\n", "x.txt:4: the event is dropped as no_visit, want counted"},
		{begin + "load\n  2026-03-02 10:00 anna / -> duplicate\n", "x.txt:4: the event is counted, want dropped as duplicate"},
		{begin + "load\n  2026-03-02 10:00 anna / -> tired\n", `x.txt:4: "tired" is no reason`},
		{begin + "flush all\n", "x.txt:3: flush takes nothing"},
		{begin + "now yesterday\n", `x.txt:3: "yesterday" is no time`},
		{begin + "now 2026-03-03 12:00 sharp\n", `x.txt:3: ["sharp"] after the time`},
		{begin + "goal Signup\n", "x.txt:3: a goal has a name"},
		{begin + "goal Signup props.plan=pro\n", "x.txt:3: a goal is an event, a page"},
		{begin + "goal Signup event=Signup page=/a\n", "x.txt:3: a goal is an event, a page"},
		{begin + "goal Signup event=Signup colour=red\n", "x.txt:3: a goal has no colour"},
		{begin + "segment one \"Germans\" []\n", "x.txt:3: a segment's number"},
		{begin + "segment 1 \"Germans\"\n", "x.txt:3: a segment has a number"},
		{begin + "segment 1 \"Germans\" [\n", "x.txt:3: [ is not JSON"},
		{begin + "with []\n", "x.txt:3: []"},
		{begin + ask + "\n", "x.txt:3: ask without a line ----"},
		{begin + "ask {\n----\n", "x.txt:3: {"},
		{begin + "ask v1 nothing?period=day\n----\n", "x.txt:3: there is no GET /api/v1/stats/nothing"},
		{begin + "ask v1 aggregate?period\n----\n", `x.txt:3: "period" is not of the form`},
		{"site\n" + ask + "\n----\n", "x.txt:2: ask before now"},
		{begin + "pending:\n", "x.txt:3: pending without a reason"},
		{begin + "show meta\n", "x.txt:3: pending and show need an ask"},
		{begin + "show\n", "x.txt:3: show without the name"},
	} {
		err := run("x.txt", c.script, false, func(*step, [][]string) {})
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s\n got %v\nwant %s", c.script, err, c.want)
		}
	}
}

const small = `# One visitor.
site
now 2026-03-03 12:00
load
  2026-03-02 10:00  anna  /  source="Direct mail"
ask {"metrics": ["visitors"], "date_range": ["2026-03-02", "2026-03-02"],
     "dimensions": ["visit:source"]}
----
visit:source   visitors
Direct mail    1
`

func verdicts(t *testing.T, script string) (out []string) {
	t.Helper()
	if err := run("x.txt", script, false, func(s *step, got [][]string) { out = append(out, judge("x.txt", s, got)) }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAnAnswerIsHeldAgainstTheScript(t *testing.T) {
	if got := verdicts(t, small); len(got) != 1 || got[0] != "" {
		t.Errorf("a right answer: %q", got)
	}
	wrong := strings.Replace(small, "mail    1", "mail    2", 1)
	want := "x.txt:6: One visitor.\nask {\"metrics\": [\"visitors\"], \"date_range\": [\"2026-03-02\", \"2026-03-02\"],\n\"dimensions\": [\"visit:source\"]}\n\n" +
		"got\nvisit:source  visitors\nDirect mail   1\n\nwant\nvisit:source  visitors\nDirect mail   2\n"
	if got := verdicts(t, wrong); got[0] != want {
		t.Errorf("a wrong answer\n got %s\nwant %s", got[0], want)
	}
	for what, script := range map[string]string{
		"a row more":     small + "Google  1\n",
		"a row less":     strings.Replace(small, "Direct mail    1\n", "", 1),
		"another column": strings.Replace(small, "visit:source   visitors\n", "visit:source  visits\n", 1),
		"an error":       strings.Replace(small, `["visitors"]`, `["baa"]`, 1),
	} {
		if got := verdicts(t, script); got[0] == "" {
			t.Errorf("%s was not noticed", what)
		}
	}
	if got := verdicts(t, strings.Replace(wrong, "ask", "pending: later\nask", 1)); got[0] != "" {
		t.Errorf("a pending answer that is wrong: %s", got[0])
	}
	if got := verdicts(t, strings.Replace(small, "ask", "pending: later\nask", 1)); !strings.Contains(got[0], "is right now") {
		t.Errorf("a pending answer that is right: %q", got[0])
	}
}

func TestRewritingPutsInWhatComes(t *testing.T) {
	wrong := strings.Replace(small, "Direct mail    1\n", "Google  9\nBing  1\n", 1)
	want := strings.Replace(strings.Replace(small, "source   visitors", "source  visitors", 1), "mail    1", "mail   1", 1)
	for what, c := range map[string]struct{ script, want string }{
		"a wrong answer":             {wrong, want},
		"a right one":                {want, want},
		"a pending one stays":        {strings.Replace(wrong, "ask", "pending: later\nask", 1), strings.Replace(wrong, "ask", "pending: later\nask", 1)},
		"a right one loses its mark": {strings.Replace(small, "ask", "pending: later\nask", 1), want},
	} {
		got, err := rewritten("x.txt", c.script)
		if err != nil || got != c.want {
			t.Errorf("%s: %v\n got %s\nwant %s", what, err, got, c.want)
		}
	}
}

func TestTimesAreLocal(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	c := clock{zone: berlin}
	for _, x := range []struct{ text, want string }{
		{"2026-03-28 23:30", "2026-03-28T22:30:00Z"},
		{"23:30:05", "2026-03-28T22:30:05Z"},
		{"+3h", "2026-03-29T01:30:05Z"},
		{"03:30:05.250", "2026-03-29T01:30:05.25Z"},
		{"-250ms", "2026-03-29T01:30:05Z"},
		{"2026-10-25 02:30+02:00", "2026-10-25T00:30:00Z"},
		{"02:30+01:00", "2026-10-25T01:30:00Z"},
		{"2026-10-25 01:59Z", "2026-10-25T01:59:00Z"},
	} {
		got, rest, err := c.read(strings.Fields(x.text + " rest"))
		if err != nil || len(rest) != 1 || got.UTC().Format(time.RFC3339Nano) != x.want {
			t.Errorf("%s: got %v %q %v, want %s", x.text, got.UTC(), rest, err, x.want)
		}
	}
}

func TestCellsAreWrittenSoThatTheyCanBeReadBack(t *testing.T) {
	v, err := decode([]byte(`["", " a", "a  b", "a b", "\"q\"", "tab\t", 1.50, null, {"value": 12.5, "currency": "EUR"}, "é"]`))
	if err != nil {
		t.Fatal(err)
	}
	row := cells(v)
	want := []string{`""`, `" a"`, `"a \u0020b"`, `a b`, `"\"q\""`, `"tab\t"`, "1.50", "null", "12.5 EUR", "é"}
	if strings.Join(row, "|") != strings.Join(want, "|") {
		t.Errorf("got %q, want %q", row, want)
	}
	if back := split(aligned([][]string{row, want})); !same(back, [][]string{row, want}) {
		t.Errorf("read back as %q", back)
	}
}
