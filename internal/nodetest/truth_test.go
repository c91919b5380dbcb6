package nodetest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"maps"

	"footfall/internal/testnode"
)

// truth is what a plain count of a log says, see truth.py beside the log.
type truth struct {
	Lines    int64            `json:"lines"`
	Rejected int64            `json:"rejected"`
	Skipped  map[string]int64 `json:"skipped"`
	Views    int              `json:"views"`
	ByDay    map[string]int   `json:"by_day"`
	ByMonth  map[string]int   `json:"by_month"`
	Distinct int              `json:"distinct_pages"`
	Top      [][2]any         `json:"by_page_top100"`
}

// TestARealLogCountsAsItDoesThePlainWay imports a real log, where there is one,
// and compares what the API says with its true counts.
func TestARealLogCountsAsItDoesThePlainWay(t *testing.T) {
	folder := filepath.Join(testnode.Root(t), "..", "shared", "data")
	log := filepath.Join(folder, "access.log.gz")
	text, err := os.ReadFile(filepath.Join(folder, "access.truth.json"))
	if _, missing := os.Stat(log); err != nil || missing != nil {
		t.Skipf("there is no log with its truth beside the repository: %v %v", err, missing)
	}
	var truths map[string]truth
	if err := json.Unmarshal(text, &truths); err != nil {
		t.Fatal(err)
	}
	n := testnode.Start(t, testnode.Options{})
	for _, c := range []struct {
		site, truth string
		flags       []string
	}{
		{"default.example", "default_keep_bots", []string{"--keep-bots"}},
		{"all-paths.example", "all_paths_keep_bots", []string{"--keep-bots", "--all-paths"}},
	} {
		want, ok := truths[c.truth]
		if !ok || want.Views == 0 {
			t.Fatalf("the truth has no %s", c.truth)
		}
		n.Footfall(t, "site", "add", c.site, "--timezone", "UTC")
		args := append([]string{"import", "--site", c.site, "--json", "--rejected", filepath.Join(t.TempDir(), "rejected"), log}, c.flags...)
		var out struct {
			Lines, Views, Rejected int64
			Dropped                map[string]int64
		}
		if err := json.Unmarshal([]byte(n.Footfall(t, args...)), &out); err != nil {
			t.Fatal(err)
		}
		if out.Lines != want.Lines || out.Rejected != want.Rejected || out.Views != int64(want.Views) || !maps.Equal(out.Dropped, want.Skipped) {
			t.Errorf("%s: the import tells %+v, the truth is %d lines, %d rejected, %d views, left out %v", c.truth, out, want.Lines, want.Rejected, want.Views, want.Skipped)
		}
		compareTruth(t, n, c.site, c.truth, want)
	}
	n.Kill()
	n.Resume()
	for site, name := range map[string]string{"default.example": "default_keep_bots", "all-paths.example": "all_paths_keep_bots"} {
		if got := n.Count(t, site, "pageviews"); got != truths[name].Views {
			t.Errorf("%s: %d views after a kill, want %d", name, got, truths[name].Views)
		}
	}
}

// compareTruth prints what the API says beside the truth.
func compareTruth(t *testing.T, n *testnode.Node, site, name string, want truth) {
	t.Helper()
	line := func(what string, got, want int) {
		verdict := "equal"
		if got != want {
			verdict = "DIFFERENT"
			t.Errorf("%s: %s: got %d, want %d", name, what, got, want)
		}
		fmt.Printf("TRUTH %s: %s: API %d, truth %d: %s\n", name, what, got, want, verdict)
	}
	line("page views", n.Count(t, site, "pageviews"), want.Views)
	days := n.By(t, site, "time:day")
	maps.DeleteFunc(days, func(_ string, count int) bool { return count == 0 })
	for _, day := range slices.Sorted(maps.Keys(want.ByDay)) {
		line(day, days[day], want.ByDay[day])
	}
	line("days with views", len(days), len(want.ByDay))
	months := n.By(t, site, "time:month")
	for month, count := range want.ByMonth {
		line(month, months[month+"-01"], count)
	}
	pages := n.Pages(t, site)
	line("distinct pages", len(pages), want.Distinct)
	same := 0
	for _, row := range want.Top {
		page, _ := row[0].(string)
		count, _ := row[1].(float64)
		if pages[page] == int(count) {
			same++
		} else {
			t.Errorf("%s: %s: got %d, want %v", name, page, pages[page], count)
		}
	}
	line("pages of the best hundred with the same count", same, len(want.Top))
}
