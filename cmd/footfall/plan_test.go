package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"footfall/bench/capacity"
	"footfall/bench/results"
)

func TestPlanTellsNodesAndWithWhatItCounted(t *testing.T) {
	code, out, errs := call(t, "", nil, "plan", "--views-per-month", "1.5G", "--sites", "20k", "--peak-factor", "4", "--retention", "12", "--regions", "3")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, want := range []string{"nodes", "1,500,000,000", "a node lost", "a region lost", "cpu.member.sync_micros", "Coefficients: measured"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

func TestPlanWritesJSONMarkdownAndAPage(t *testing.T) {
	page := filepath.Join(t.TempDir(), "plan.html")
	code, out, errs := call(t, "", nil, "plan", "--views-per-month", "250M", "--sites", "100", "--json", "--html", page)
	var r struct {
		Nodes  int
		States []struct{ Loss string }
	}
	if err := json.Unmarshal([]byte(out), &r); code != exitOK || err != nil || r.Nodes < 3 || len(r.States) != 2 || r.States[1].Loss != "a node lost" {
		t.Errorf("exit %d, %v, %+v: %s", code, err, r, errs)
	}
	if b, err := os.ReadFile(page); err != nil || !strings.Contains(string(b), "<svg") {
		t.Errorf("the page: %v", err)
	}
	if code, out, _ := call(t, "", nil, "plan", "--views-per-month", "250M", "--sites", "100", "--markdown"); code != exitOK || !strings.HasPrefix(out, "# Capacity plan") {
		t.Errorf("exit %d: %.200s", code, out)
	}
}

func TestPlanNamesTheFlagThatIsWrong(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for want, more := range map[string][]string{
		"--replicas":              {"--replicas", "2"},
		"--regions":               {"--regions", "0"},
		"--peak-factor":           {"--peak-factor", "0"},
		"--retention":             {"--retention", "0"},
		"views-per-month":         {"--views-per-month", "many"},
		"--markdown":              {"--json", "--markdown"},
		"--results: open":         {"--results", filepath.Join(dir, "none")},
		"is not JSON":             {"--results", file("a", "x")},
		"cpu.alone.edge_micros":   {"--results", file("b", `{"kind":"footfall-coefficients","version":1}`)},
		"0 views tell too little": {"--results", file("c", `{"version":1}`)},
		"version 77 is not known": {"--results", file("d", `{"version":77}`)},
		"--thing":                 {"--thing"},
	} {
		code, _, errs := call(t, "", nil, append([]string{"plan", "--views-per-month", "1M", "--sites", "10"}, more...)...)
		if code != exitUsage || !strings.Contains(errs, want) {
			t.Errorf("%v: exit %d: %s", more, code, errs)
		}
	}
}

func TestPlanCountsWithALoadRun(t *testing.T) {
	shipped, err := capacity.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	const perSecond, seconds = 4000, 100
	run := &results.Run{Version: results.Version, Name: "slow machine", Seconds: seconds, Machine: results.Machine{Cores: 2, CPU: "slow"},
		Servers: []results.Server{{Process: results.Process{CPUSeconds: 3 * seconds * shipped.Node(capacity.Alone(perSecond, 10)).Cores()}}},
		Totals:  map[string]results.Total{results.Beacon: {Intended: perSecond * seconds, Answered: perSecond * seconds, Views: perSecond * seconds}}}
	file := filepath.Join(t.TempDir(), "run.json")
	if err := results.WriteFile(file, run); err != nil {
		t.Fatal(err)
	}
	cores := func(more ...string) int {
		code, out, errs := call(t, "", nil, append([]string{"plan", "--views-per-month", "100G", "--sites", "1000", "--cores-per-node", "2", "--json"}, more...)...)
		var r struct {
			Nodes        int `json:"nodes"`
			CoresPerNode int `json:"cores_per_node"`
		}
		if err := json.Unmarshal([]byte(out), &r); code != exitOK || err != nil {
			t.Fatalf("exit %d, %v: %s", code, err, errs)
		}
		return r.Nodes * r.CoresPerNode
	}
	if fast, slow := cores(), cores("--results", file); slow < 2*fast {
		t.Errorf("%d cores on this machine, %d on one a third as fast", fast, slow)
	}
}
