package capacity_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"footfall/bench/capacity"
	"footfall/bench/results"
)

func shipped(t *testing.T) *capacity.Coefficients {
	t.Helper()
	c, err := capacity.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func plan(t *testing.T, change func(*capacity.Demand)) *capacity.Result {
	t.Helper()
	d := capacity.Usual()
	d.ViewsPerMonth, d.Sites = 1e9, 10_000
	if change != nil {
		change(&d)
	}
	r, err := capacity.Plan(d, shipped(t))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestALogNeverSyncsMoreOftenThanViewsComeOrThanItCan(t *testing.T) {
	last := 0.0
	for rate := 0.1; rate < 1e6; rate *= 1.3 {
		const seconds = 0.0005
		n := capacity.Rounds(rate, seconds)
		if n <= 0 || n > rate || n > 1/seconds {
			t.Fatalf("%.1f views a second: %.1f syncs", rate, n)
		}
		if n < last {
			t.Errorf("%.1f views a second: %.1f syncs, fewer than at a lower rate", rate, n)
		}
		last = n
	}
	if n := capacity.Rounds(10, 0.0005); n < 9.9 {
		t.Errorf("10 views a second share syncs: %.2f", n)
	}
	if n := capacity.Rounds(1e6, 0.0005); n < 1999 {
		t.Errorf("a busy log pauses: %.1f syncs a second", n)
	}
	if n := capacity.Rounds(0, 0.0005); n != 0 {
		t.Errorf("nothing comes in and there are %v syncs", n)
	}
}

func TestAWriteHasAnEntryForEachShardThatItTouches(t *testing.T) {
	for _, c := range []struct{ views, shards, low, high float64 }{
		{1, 256, 1, 1}, {0.5, 256, 0.5, 0.5}, {2, 256, 1.99, 2}, {1000, 10, 9.99, 10}, {50, 1, 1, 1}, {256, 256, 161, 163},
	} {
		if n := capacity.Entries(c.views, c.shards); n < c.low-1e-9 || n > c.high+1e-9 {
			t.Errorf("%v views over %v shards: %v entries, want %v to %v", c.views, c.shards, n, c.low, c.high)
		}
	}
}

func TestAViewCostsLessTheMoreOfThemComeIn(t *testing.T) {
	c := shipped(t)
	each := math.Inf(1)
	for rate := 10.0; rate <= 40_000; rate *= 2 {
		now := c.Node(capacity.Alone(rate, 100)).Cores() / rate
		if now > each*1.0001 {
			t.Errorf("%.0f views a second: %.1f µs each, more than at half of it", rate, now*1e6)
		}
		each = now
	}
}

// The figures were measured when the file was made; what is tested is the model.
func TestTheModelPredictsRunsThatItWasNotFittedTo(t *testing.T) {
	c := shipped(t)
	if len(c.Checks) < 2 || len(c.MemberChecks) < 2*3 {
		t.Fatalf("%d and %d runs to check with", len(c.Checks), len(c.MemberChecks))
	}
	fitted := map[float64]bool{}
	for _, s := range append(c.Samples, c.Members...) {
		fitted[s.PerSecond] = true
	}
	off := func(what string, perSecond, predicted, measured float64) {
		if math.Abs(predicted/measured-1) > 0.15 {
			t.Errorf("%s, %.0f views a second: predicted %.3f cores, measured %.3f", what, perSecond, predicted, measured)
		}
		if fitted[perSecond] {
			t.Errorf("%s, %.0f views a second: the model was fitted to it", what, perSecond)
		}
	}
	for _, s := range c.Checks {
		off("one node", s.PerSecond, c.Node(capacity.Alone(s.PerSecond, s.Sites)).Cores(), s.Cores)
	}
	for i := 0; i+3 <= len(c.MemberChecks); i += 3 {
		predicted, measured := 0.0, 0.0
		for _, s := range c.MemberChecks[i : i+3] {
			predicted += c.Node(capacity.Member(s.Edge, s.PerSecond, s.Sites, 3, 3)).Cores()
			measured += s.Cores
		}
		off("three nodes", c.MemberChecks[i].PerSecond, predicted, measured)
	}
}

func TestMoreIsNeverLess(t *testing.T) {
	total := func(r *capacity.Result) [4]float64 {
		n := float64(r.Nodes)
		return [4]float64{n * float64(r.CoresPerNode), n * float64(r.MemoryPerGiB), n * float64(r.DiskPerGiB), r.PeakDiskBytes()}
	}
	for _, c := range []struct {
		name string
		grow func(*capacity.Demand, float64)
		keep int // how many of the totals must not fall
	}{
		{"views", func(d *capacity.Demand, x float64) { d.ViewsPerMonth *= x }, 4},
		{"peak", func(d *capacity.Demand, x float64) { d.PeakFactor *= x }, 1},
		{"retention", func(d *capacity.Demand, x float64) { d.Retention = int(float64(d.Retention) * x) }, 4},
		{"sites", func(d *capacity.Demand, x float64) { d.Sites = int(float64(d.Sites) * x) }, 1},
	} {
		var last [4]float64
		for _, x := range []float64{1, 1.5, 2, 4, 8, 16} {
			now := total(plan(t, func(d *capacity.Demand) { d.CoresPerNode = 8; c.grow(d, x) }))
			for i := range c.keep {
				if now[i] < last[i] {
					t.Errorf("%s × %v: total %d falls from %v to %v", c.name, x, i, last[i], now[i])
				}
			}
			last = now
		}
	}
}

func TestALossLeavesRoom(t *testing.T) {
	for _, views := range []float64{1e6, 1e8, 1e9, 5e9} {
		for _, regions := range []int{1, 2, 3} {
			r := plan(t, func(d *capacity.Demand) { d.ViewsPerMonth, d.Regions = views, regions })
			if want := 2 + min(1, regions-1); len(r.States) != want {
				t.Fatalf("%v views, %d regions: %d states, want %d", views, regions, len(r.States), want)
			}
			if r.Nodes%regions != 0 {
				t.Errorf("%v views: %d nodes cannot be spread evenly over %d regions", views, r.Nodes, regions)
			}
			for _, s := range r.States {
				most := capacity.BusyMax
				if s.Loss != capacity.Nothing {
					most = capacity.BusyLossMax
				}
				if s.Node.Cores > most*float64(r.CoresPerNode) {
					t.Errorf("%v views, %d regions, %v: %.2f of %d cores", views, regions, s.Loss, s.Node.Cores, r.CoresPerNode)
				}
				if s.Node.MemoryBytes > capacity.MemoryMax*float64(r.MemoryPerGiB)*(1<<30) {
					t.Errorf("%v views, %d regions, %v: %.0f bytes of %d GiB", views, regions, s.Loss, s.Node.MemoryBytes, r.MemoryPerGiB)
				}
				if s.Loss != capacity.OneRegion && s.Node.DiskBytes > capacity.DiskMax*float64(r.DiskPerGiB)*(1<<30) {
					t.Errorf("%v views, %d regions, %v: %.0f bytes of %d GiB on disk", views, regions, s.Loss, s.Node.DiskBytes, r.DiskPerGiB)
				}
				if want := s.Loss != capacity.OneRegion || regions >= 3; s.Serves != want {
					t.Errorf("%d regions, %v: views are acknowledged: %v", regions, s.Loss, s.Serves)
				}
			}
		}
	}
}

func TestOneReplicaIsOneNodeWithoutHeadroom(t *testing.T) {
	r := plan(t, func(d *capacity.Demand) { d.ViewsPerMonth, d.Replicas = 1e7, 1 })
	if r.Nodes != 1 || len(r.States) != 1 {
		t.Errorf("%d nodes, %d states", r.Nodes, len(r.States))
	}
	if !strings.Contains(strings.Join(r.Notes, "\n"), "--replicas 3") {
		t.Errorf("no word about the only copy: %q", r.Notes)
	}
	d := capacity.Usual()
	d.ViewsPerMonth, d.Sites, d.Replicas = 1e13, 10, 1
	if _, err := capacity.Plan(d, shipped(t)); err == nil || !strings.Contains(err.Error(), "too much for one node") {
		t.Errorf("a node bears 10^13 views: %v", err)
	}
}

func TestReplicasAreWrittenToDisk(t *testing.T) {
	three := plan(t, nil)
	five := plan(t, func(d *capacity.Demand) { d.Replicas = 5 })
	if x := five.Terabytes[0] / three.Terabytes[0]; math.Abs(x-5.0/3) > 1e-9 {
		t.Errorf("five replicas take %.2f times the disk of three", x)
	}
	if n := len(three.Terabytes); n != 24 || math.Abs(three.Terabytes[23]/three.Terabytes[0]-24) > 1e-9 {
		t.Errorf("%d months, the last %v, the first %v", n, three.Terabytes[n-1], three.Terabytes[0])
	}
	if five.Nodes < 5 || three.Nodes < 3 {
		t.Errorf("%d and %d nodes", five.Nodes, three.Nodes)
	}
}

func TestWhatCannotBeAskedForIsNamed(t *testing.T) {
	for want, change := range map[string]func(*capacity.Demand){
		"--views-per-month":          func(d *capacity.Demand) { d.ViewsPerMonth = 0 },
		"--peak-factor":              func(d *capacity.Demand) { d.PeakFactor = 0.5 },
		"--sites":                    func(d *capacity.Demand) { d.Sites = 0 },
		"--retention":                func(d *capacity.Demand) { d.Retention = 0 },
		"--replicas":                 func(d *capacity.Demand) { d.Replicas = 2 },
		"--regions":                  func(d *capacity.Demand) { d.Regions = 0 },
		"--regions: with one":        func(d *capacity.Demand) { d.Regions, d.Replicas = 2, 1 },
		"--cores-per-node":           func(d *capacity.Demand) { d.CoresPerNode = -1 },
		"--views-per-visit":          func(d *capacity.Demand) { d.ViewsPerVisit = 0.5 },
		"--active-sites":             func(d *capacity.Demand) { d.ActiveSites = 1.1 },
		"--questions-per-1000-views": func(d *capacity.Demand) { d.QuestionsPer1k = math.NaN() },
	} {
		d := capacity.Usual()
		d.ViewsPerMonth, d.Sites = 1e6, 10
		change(&d)
		if err := d.Check(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestFitFindsTheCoefficientsThatMadeTheSamples(t *testing.T) {
	truth := *shipped(t)
	truth.CPU.Alone = capacity.Costs{RestCores: 0.01, EdgeMicros: 18, EntryMicros: 12, SyncMicros: 150, WakeMicros: 70, SyncMS: 0.3, SyncWakeMS: 0.2, SyncEntryMS: 0.004, SyncViewMS: 0.01}
	run := func(rate float64, sites int) capacity.Sample {
		u := truth.Node(capacity.Alone(rate, sites))
		return capacity.Sample{Edge: rate, PerSecond: rate, Sites: sites, Cores: u.Cores(), Syncs: u.SyncsPerSecond, Entries: u.EntriesPerSecond}
	}
	var samples []capacity.Sample
	for _, rate := range []float64{500, 1500, 4000, 9000, 20000, 40000} {
		samples = append(samples, run(rate, 10), run(rate, 1000))
	}
	got, err := capacity.Fit(0.01, samples)
	if err != nil {
		t.Fatal(err)
	}
	fitted := truth
	fitted.CPU.Alone = got
	for _, rate := range []float64{800, 3000, 12000, 30000} {
		want, have := run(rate, 100).Cores, fitted.Node(capacity.Alone(rate, 100)).Cores()
		if math.Abs(have/want-1) > 0.01 {
			t.Errorf("%.0f views a second: %.4f cores, want %.4f (%+v)", rate, have, want, got)
		}
	}
	if _, err := capacity.Fit(0.01, samples[:4]); err == nil {
		t.Error("two rates are enough")
	}
	if _, err := capacity.Fit(0.01, append(samples, capacity.Sample{PerSecond: 10})); err == nil {
		t.Error("a sample without figures is taken")
	}
}

func aRun(c *capacity.Coefficients, factor float64) *results.Run {
	const perSecond, seconds = 5000, 60
	return &results.Run{Version: 1, Name: "steady", Seconds: seconds, Machine: results.Machine{Cores: 4, CPU: "other", OS: "linux/amd64"},
		Servers: []results.Server{{Addr: "a:1", Process: results.Process{CPUSeconds: factor * seconds * c.Node(capacity.Member(perSecond, perSecond, 10, 1, 1)).Cores()},
			DiskBefore: 1e6, DiskAfter: 1e6 + perSecond*seconds*40}},
		Totals: map[string]results.Total{results.Beacon: {Intended: perSecond * seconds, Answered: perSecond * seconds, Views: perSecond * seconds, Bytes: perSecond * seconds * 500, Received: perSecond * seconds * 100}}}
}

func TestAMachineThatIsHalfAsFastNeedsTwice(t *testing.T) {
	base := shipped(t)
	c, err := capacity.FromRun(base, aRun(base, 2), 10)
	if err != nil {
		t.Fatal(err)
	}
	if x := c.CPU.Alone.EdgeMicros / base.CPU.Alone.EdgeMicros; math.Abs(x-2) > 0.001 {
		t.Errorf("a view costs %.3f times as much, want 2", x)
	}
	if c.Network.RequestBytes != 500 || c.Network.AnswerBytes != 100 || math.Abs(c.Disk.UnsealedBytes-40) > 1e-9 {
		t.Errorf("%+v %+v", c.Network, c.Disk)
	}
	if c.Machine.Cores != 4 || c.From == "" {
		t.Errorf("%+v, %q", c.Machine, c.From)
	}
}

func TestARunThatTellsNothingIsRefused(t *testing.T) {
	base := shipped(t)
	for want, change := range map[string]func(*results.Run){
		"interrupted":  func(r *results.Run) { r.Interrupted = true },
		"too little":   func(r *results.Run) { r.Totals[results.Beacon] = results.Total{Views: 10} },
		"refused":      func(r *results.Run) { x := r.Totals[results.Beacon]; x.Refused = 20_000; r.Totals[results.Beacon] = x },
		"no server":    func(r *results.Run) { r.Servers = nil },
		"arrays":       func(r *results.Run) { r.Arrays = 1000 },
		"CPU of a:1":   func(r *results.Run) { r.Servers[0].CPUSeconds = 0 },
		"5 replicas":   func(r *results.Run) { r.Replicas = 5 },
		"not a number": func(r *results.Run) { r.Servers[0].CPUSeconds = math.Inf(1) },
	} {
		run := aRun(base, 1)
		change(run)
		if _, err := capacity.FromRun(base, run, 10); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestCoefficientsThatAreWrongAreNamed(t *testing.T) {
	good, err := json.Marshal(shipped(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ from, to, want string }{
		{`"version":1`, `"version":9`, "version"},
		{`"kind":"`, `"kind":"x`, "kind"},
		{`"edge_micros":`, `"edge_micros":-`, "cpu.alone.edge_micros"},
		{`"sync_ms":`, `"synk_ms":`, "synk_ms"},
		{`"request_bytes":`, `"request_bytes":0,"entry_bytes":5,"request_bytes":0.0e1`, "network.request_bytes"},
	} {
		text := strings.Replace(string(good), c.from, c.to, 1)
		if _, err := capacity.Decode([]byte(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s → %s: %v, want something about %s", c.from, c.to, err, c.want)
		}
	}
}

func TestEveryFormOfThePlanSaysTheSame(t *testing.T) {
	r := plan(t, func(d *capacity.Demand) { d.Regions = 3 })
	var text, markdown, page bytes.Buffer
	for _, err := range []error{r.Text(&text), r.Markdown(&markdown), r.HTML(&page)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, form := range []string{text.String(), markdown.String(), page.String()} {
		for _, want := range []string{"a region lost", "a node lost", "cpu.member.sync_micros", r.Coefficients.Measured, r.Coefficients.Machine.CPU, "GiB", "Mbit/s"} {
			if !strings.Contains(form, want) {
				t.Errorf("%q is missing in\n%.300s", want, form)
			}
		}
	}
	if n := strings.Count(page.String(), "<polyline"); n != 2*4 { // three states and the disk, each with its key
		t.Errorf("%d lines in the plots", n)
	}
	for _, bad := range []string{"http://", "https://", "<script", "NaN", "ZgotmplZ", "%!"} {
		if strings.Contains(page.String(), bad) || strings.Contains(text.String(), bad) {
			t.Errorf("%q in the plan", bad)
		}
	}
	for _, mark := range []string{"o", "x", "|"} {
		if !strings.Contains(text.String(), mark) {
			t.Errorf("no %s in the plot", mark)
		}
	}
}

func TestTextsOfAFileAreEscapedInThePage(t *testing.T) {
	c := *shipped(t)
	c.Machine.CPU = `<script>alert(1)</script>`
	d := capacity.Usual()
	d.ViewsPerMonth, d.Sites = 1e6, 10
	r, err := capacity.Plan(d, &c)
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := r.HTML(&page); err != nil || strings.Contains(page.String(), "<script>") {
		t.Errorf("%v: the page runs what a file says", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"kind":"footfall-coefficients","version":1}`))
	f.Add([]byte(`{"cpu":{"alone":{"edge_micros":1e308}}}`))
	if c, err := capacity.Shipped(); err == nil {
		b, _ := json.Marshal(c)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := capacity.Decode(b)
		if err != nil {
			return
		}
		d := capacity.Usual()
		d.ViewsPerMonth, d.Sites = 1e6, 10
		if r, err := capacity.Plan(d, c); err == nil && (r.Nodes < 1 || r.CoresPerNode < 1 || r.MemoryPerGiB < 1 || r.DiskPerGiB < 1) {
			t.Errorf("a plan without nodes: %+v", r)
		}
	})
}
