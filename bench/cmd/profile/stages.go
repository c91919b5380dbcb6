package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// stage is a part of a view's way: a stack belongs to the first stage of which
// one of the marks is in one of its frames.
type stage struct {
	name   string
	budget string // ns
	marks  []string
}

// stages in the order in which they are tried: what is narrow before what
// contains it.
var stages = []stage{
	{"collector", "", []string{"runtime.gcBgMarkWorker", "runtime.gcAssist", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcStart", "runtime.(*sweepLocked)", "runtime.gcMarkDone"}},
	{"sync (kernel)", "760", []string{"Fdatasync", "SYS_FDATASYNC", "vfs.(*syncFileRange", "vfs.(*linuxFile).Sync", "os.(*File).Sync", "vfs.(*unixFile).Sync"}},
	{"flush, seal", "300", []string{"actors.(*siteActor).flush", "actors.(*siteActor).seal", "site.(*Machine).Flush", "site.(*Machine).sealEvents", "site.(*Machine).sealVisits", "pebble/v2.(*DB).flush", "pebble/v2.(*DB).compact"}},
	{"JSON scan", "250", []string{"beacon.(*form)"}},
	{"UA", "150", []string{"enrich.(*Enricher).UserAgent", "enrich/agent.", "enrich/bots."}},
	{"geo", "700", []string{"enrich.(*Enricher).Place", "enrich/place."}},
	{"URL, referrer, headers", "600", []string{"enrich.(*Enricher).Acquisition", "enrich/source.", "enrich.Split", "beacon.(*hit)", "beacon.(*request).", "door.ClientIP"}},
	{"visitor id, encode", "500", []string{"enrich/visitor.", "entry.AppendEvent", "enrich.(*Enricher).Registrable"}},
	{"socket write (kernel)", "5,000", []string{"internal/poll.(*FD).Write"}},
	{"socket read (kernel)", "2,400", []string{"internal/poll.(*FD).Read", "runtime.netpoll"}},
	{"actors, counting", "900", []string{"footfall/actors.", "analytics/site.", "protoactor-go", "analytics/delivery."}},
	{"log: raft, store", "140", []string{"cluster/rafthost.", "go.etcd.io/raft", "cockroachdb/pebble", "persistence/pebblestore."}},
	{"route: collect, wait, answer", "", []string{"footfall/cluster.", "footfall/cmd/internal/node."}},
	{"beacon, the rest", "", []string{"http/beacon.", "footfall/enrich."}},
	{"edge", "", []string{"http/edge.", "http/door."}},
	{"fasthttp: parse, dispatch", "1,200", []string{"valyala/fasthttp."}},
	{"scheduler", "1,500", []string{"runtime.schedule", "runtime.findRunnable", "runtime.mcall", "runtime.park_m", "runtime.gopreempt", "runtime.mstart", "runtime.sysmon", "runtime.goexit0", "runtime.futex", "runtime.wakep", "runtime.ready", "runtime.goready", "runtime.morestack"}},
	{"other", "", []string{""}},
}

// scheduling on behalf of a stage is the scheduler's all the same.
var scheduler = []string{"runtime.goready", "runtime.ready", "runtime.wakep", "runtime.futexwakeup", "runtime.startm", "runtime.gopark", "runtime.injectglist", "runtime.entersyscallblock", "runtime.handoffp"}

// stagesOf gives the CPU time by stage in ns of a whole profile.
func stagesOf(ctx context.Context, binary, profile string) (map[string]float64, error) {
	text, err := traces(ctx, binary, profile)
	if err != nil {
		return nil, err
	}
	return classify(text)
}

// classify reads what `go tool pprof -traces -unit=ns` prints: stacks between
// lines of dashes, the time before the innermost frame.
func classify(text []byte) (map[string]float64, error) {
	out := map[string]float64{}
	spent, frames, found := 0.0, []string(nil), false
	end := func() {
		if len(frames) > 0 {
			out[stageOf(frames)] += spent
		}
		spent, frames = 0, frames[:0]
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		switch {
		case strings.HasPrefix(line, "-----------+"):
			end()
			found = true
		case !found || line == "":
		case len(frames) == 0:
			value, name, ok := strings.Cut(line, " ")
			ns, err := strconv.ParseFloat(strings.TrimSuffix(value, "ns"), 64)
			if !ok || err != nil {
				continue // a label of the stack
			}
			spent, frames = ns, append(frames, strings.TrimSpace(name))
		default:
			frames = append(frames, line)
		}
	}
	end()
	if len(out) == 0 {
		return nil, fmt.Errorf("the profile has no stacks: %.200s", text)
	}
	return out, lines.Err()
}

// stageOf finds the stage of a stack, innermost frame first.
func stageOf(frames []string) string {
	for _, f := range frames {
		for _, mark := range scheduler {
			if strings.HasPrefix(f, mark) {
				return "scheduler"
			}
		}
	}
	for _, s := range stages {
		for _, mark := range s.marks {
			for _, f := range frames {
				if strings.Contains(f, mark) {
					return s.name
				}
			}
		}
	}
	return "other"
}

// table prints ns per view by stage.
func table(w io.Writer, columns []column) {
	fmt.Fprint(w, "| stage, ns of CPU per view | budget |")
	for _, c := range columns {
		fmt.Fprintf(w, " %d connections, %.0f views/s |", c.conns, c.rate)
	}
	fmt.Fprint(w, "\n|---|---|"+strings.Repeat("---|", len(columns))+"\n")
	sums := make([]float64, len(columns))
	for _, s := range stages {
		fmt.Fprintf(w, "| %s | %s |", s.name, s.budget)
		for i, c := range columns {
			fmt.Fprintf(w, " %.0f |", c.ns[s.name])
			sums[i] += c.ns[s.name]
		}
		fmt.Fprintln(w)
	}
	fmt.Fprint(w, "| **sum** | 14,000 |")
	for _, s := range sums {
		fmt.Fprintf(w, " %.0f |", s)
	}
	fmt.Fprint(w, "\n\n")
}
