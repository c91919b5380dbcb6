package capacity

import (
	"errors"
	"fmt"

	"footfall/bench/results"
)

const (
	syncsMetric   = "footfall_log_syncs_total"
	entriesMetric = "footfall_log_entries_total"
	runViewsMin   = 10_000
	diskViewsMin  = 200_000
)

// FromRun fits base to a load run: CPU is scaled so that the model explains what
// the servers used, bytes of requests and answers are the run's, and bytes on
// disk too where the run was long enough to tell. What a run cannot tell stays
// base's; From says so. sites is how many sites had views in it.
func FromRun(base *Coefficients, run *results.Run, sites int) (*Coefficients, error) {
	t := run.Totals[results.Beacon]
	switch {
	case run.Interrupted:
		return nil, errors.New("results: the run was interrupted")
	case t.Views < runViewsMin || run.Seconds <= 0:
		return nil, fmt.Errorf("results: %d views tell too little, %d are needed", t.Views, runViewsMin)
	case t.Refused+t.Failed > t.Intended/100:
		return nil, fmt.Errorf("results: %d of %d requests were refused or not answered; a run below the limit tells more", t.Refused+t.Failed, t.Intended)
	case len(run.Servers) == 0:
		return nil, errors.New("results: no server's CPU is known")
	case run.Arrays > 1:
		return nil, errors.New("results: views came in arrays, which cost less than beacons do")
	}
	c := *base
	nodes, perSecond := len(run.Servers), float64(t.Views)/run.Seconds
	replicas := max(1, run.Replicas)
	if replicas > nodes {
		return nil, fmt.Errorf("results: %d replicas on %d servers", replicas, nodes)
	}
	measured, predicted := 0.0, 0.0
	for _, s := range run.Servers {
		if s.CPUSeconds <= 0 {
			return nil, fmt.Errorf("results: the CPU of %s is not known", s.Addr)
		}
		measured += s.CPUSeconds / run.Seconds
		l := Member(perSecond/float64(nodes), perSecond, sites, nodes, replicas)
		w := base.CPU.of(l).writes(l.Written, l.Shards)
		if syncs := s.After[syncsMetric] - s.Before[syncsMetric]; syncs > 0 { // the disk's pace is known, so it is not what CPU is scaled by
			w.syncs = syncs / run.Seconds
			seconds, _ := roundOf(l.Written, w.syncs)
			w.wakes = w.syncs * paused(l.Written, seconds)
			w.entries = (s.After[entriesMetric] - s.Before[entriesMetric]) / run.Seconds
		}
		predicted += base.CPU.node(l, w).Cores()
	}
	scale := measured / predicted
	for _, costs := range []*Costs{&c.CPU.Alone, &c.CPU.Member} {
		for _, x := range []*float64{&costs.RestCores, &costs.EdgeMicros, &costs.ViewMicros, &costs.EntryMicros, &costs.SyncMicros, &costs.WakeMicros} {
			*x *= scale
		}
	}
	c.CPU.QuestionMillis *= scale
	if t.Bytes > 0 && t.Received > 0 && t.Answered > 0 {
		c.Network.RequestBytes = float64(t.Bytes) / float64(t.Answered)
		c.Network.AnswerBytes = float64(t.Received) / float64(t.Answered)
	}
	disk := int64(0)
	for _, s := range run.Servers {
		disk += s.DiskAfter - s.DiskBefore
	}
	if t.Views >= diskViewsMin && disk > 0 {
		c.Disk.UnsealedBytes = max(base.Disk.UnsealedBytes, float64(disk)/float64(t.Views)/float64(replicas))
	}
	c.Measured, c.Commit = run.Started.UTC().Format("2006-01-02"), run.Commit
	c.Machine = Machine{Cores: run.Machine.Cores, CPU: run.Machine.CPU, OS: run.Machine.OS}
	c.From = fmt.Sprintf("CPU is that of the run %q, %.0f views a second on %d node(s), which used %.2f times what %s (%s) predicts; memory, sealed days and shares among the coefficients are from there.",
		run.Name, perSecond, nodes, scale, base.Machine.CPU, base.Measured)
	c.Samples, c.Checks, c.Members, c.MemberChecks = nil, nil, nil, nil
	return &c, c.Check()
}
