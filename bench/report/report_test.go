package report_test

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"footfall/bench/load"
	"footfall/bench/report"
	"footfall/bench/results"
)

func run() *results.Run {
	r := &results.Run{Version: 1, Name: "<script>alert(1)</script>", Description: "d|e", Mode: "soak", Dialect: "plausible", Seconds: 16, Started: time.Unix(0, 0).UTC(),
		Servers:      []results.Server{{Name: "node 1", Addr: "a:1", Process: results.Process{CPUSeconds: 4, RSSPeak: 200 << 20}}},
		Totals:       map[string]results.Total{results.Beacon: {Intended: 1_234_567, Answered: 1_234_560, Refused: 7, Latency: results.Latency{P99: 12_345}}},
		Conservation: &results.Conservation{Acknowledged: 10, Counted: 9, Lost: 1, Sites: 1, Wrong: []results.Difference{{Site: "s<b>", Acknowledged: 10, Counted: 9}}},
		Interrupted:  true}
	for i := range 16 {
		r.Intervals = append(r.Intervals, results.Interval{At: float64(i), Seconds: 1, Intended: 100, Answered: 100, P50: 900, P99: int64(1000 * (i + 1)),
			Servers: []results.Sample{{CPU: .25, RSS: int64(100+10*i) << 20, Goroutines: 30}}})
	}
	return r
}

func TestMarkdownSaysWhatSpeaksAgainstTheRun(t *testing.T) {
	var b bytes.Buffer
	if err := report.Markdown(&b, run()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1,234,567", "12.3", "**No.**", "lost 1", "broken off", "memory went from", `d\|e`, "| s&lt;b> |"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "<script") {
		t.Error("a name became markup")
	}
}

// The page must need nothing else and run nothing.
func TestThePageIsWholeAndHarmless(t *testing.T) {
	limit := &results.Limit{Version: 1, Scenario: "s", P99US: 10_000, Rate: 5000, Trials: []results.Trial{{Rate: 5000, Good: true, P99: 3000}, {Rate: 10_000, Why: "p99 <b>"}}}
	comparison := &results.Comparison{Version: 1, Rounds: 3, Rows: []results.Compared{{Name: "bare", Connections: 64, RatePerSec: 1000}}}
	for name, write := range map[string]func(io.Writer) error{
		"run":        func(w io.Writer) error { return report.HTML(w, run()) },
		"empty run":  func(w io.Writer) error { return report.HTML(w, &results.Run{Version: 1}) },
		"limit":      func(w io.Writer) error { return report.LimitHTML(w, limit) },
		"comparison": func(w io.Writer) error { return report.ComparisonHTML(w, comparison) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		root, err := html.Parse(&b)
		if err != nil {
			t.Fatal(err)
		}
		count := map[string]int{}
		for n := range root.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			count[n.Data]++
			for _, a := range n.Attr {
				if a.Key == "src" || a.Key == "href" || strings.HasPrefix(a.Key, "on") {
					t.Errorf("%s: <%s> has %s=%q", name, n.Data, a.Key, a.Val)
				}
			}
			if n.Data == "svg" {
				var label string
				for _, a := range n.Attr {
					if a.Key == "aria-label" {
						label = a.Val
					}
				}
				if label == "" {
					t.Errorf("%s: a plot without words", name)
				}
			}
		}
		if count["script"]+count["link"]+count["iframe"]+count["img"] > 0 || count["main"] != 1 || count["h1"] != 1 {
			t.Errorf("%s: %v", name, count)
		}
		if name == "run" && count["svg"] != 6 {
			t.Errorf("%d plots, want 6", count["svg"])
		}
	}
}

func TestPlotsAreWellFormed(t *testing.T) {
	var b bytes.Buffer
	if err := report.HTML(&b, run()); err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split(b.String(), "<svg")[1:] {
		text, _, _ := strings.Cut("<svg"+part, "</svg>")
		d := xml.NewDecoder(strings.NewReader(text + "</svg>"))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("plot %d: %v\n%s", i, err, text)
			}
		}
		if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("plot %d has coordinates that are none: %s", i, text)
		}
	}
}

func TestTheLineSaysWhenTheRunIsBehind(t *testing.T) {
	line := report.Line(load.Progress{At: 15 * time.Second, Length: 10 * time.Second, Wrong: 3})
	if !strings.Contains(line, "behind by 5s") || !strings.Contains(line, "wrong 3") {
		t.Error(line)
	}
}
