package capacity

import (
	"errors"
	"fmt"
	"math"
)

// Demand is what is asked of a cluster.
type Demand struct {
	ViewsPerMonth  float64 `json:"views_per_month"` // events of other kinds count as views
	PeakFactor     float64 `json:"peak_factor"`     // busiest minutes against the mean, from 1 on
	Sites          int     `json:"sites"`           // known
	Retention      int     `json:"retention"`       // months that views are kept, from 1 on
	Replicas       int     `json:"replicas"`        // of each site: 1, 3 or 5
	Regions        int     `json:"regions"`         // that nodes are spread over, from 1 on
	CoresPerNode   int     `json:"cores_per_node"`  // 0: chosen
	ViewsPerVisit  float64 `json:"views_per_visit"`
	ActiveSites    float64 `json:"active_sites"`    // share of the sites that have views on a day
	QuestionsPer1k float64 `json:"questions_per1k"` // questions per 1,000 views
}

// Usual gives the demand's fields that are seldom known.
func Usual() Demand {
	return Demand{PeakFactor: 5, Retention: 24, Replicas: 3, Regions: 1, ViewsPerVisit: 3, ActiveSites: 0.5, QuestionsPer1k: 10}
}

// Rules of a plan. They are part of every report.
const (
	BusyMax      = 0.60 // of a node's cores, while all nodes are there
	BusyLossMax  = 0.80 // while a node or a region is lost
	Skew         = 1.25 // busiest node against the mean: shards are not equally busy
	MemoryMax    = 0.75 // of a node's memory; the rest belongs to the system's cache of files
	cachesShare  = 1.0 / 16
	DiskMax      = 0.70 // of a node's disk; a tenth is kept free, a tenth may be the spool
	secondsMonth = 365.25 / 12 * 86400
	daysUnsealed = 2 // today, and yesterday until it is sealed
	nodesMax     = 256
	flushSeconds = 300
	flushBytes   = 64 << 20
)

// Check tells what is wrong with a demand; the text begins with the flag that
// says it.
func (d *Demand) Check() error {
	number := func(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
	switch {
	case !number(d.ViewsPerMonth) || d.ViewsPerMonth < 1 || d.ViewsPerMonth > 1e15:
		return errors.New("--views-per-month: must be from 1 to 10^15")
	case !number(d.PeakFactor) || d.PeakFactor < 1 || d.PeakFactor > 1000:
		return errors.New("--peak-factor: must be from 1 to 1000")
	case d.Sites < 1 || d.Sites > 100_000_000:
		return errors.New("--sites: must be from 1 to 100,000,000")
	case d.Retention < 1 || d.Retention > 1200:
		return errors.New("--retention: must be from 1 to 1200 months")
	case d.Replicas != 1 && d.Replicas != 3 && d.Replicas != 5:
		return errors.New("--replicas: must be 1, 3 or 5, so that a majority is clear")
	case d.Regions < 1 || d.Regions > 32:
		return errors.New("--regions: must be from 1 to 32")
	case d.Regions > 1 && d.Replicas == 1:
		return errors.New("--regions: with one replica a site is in one region only; more need --replicas 3 or 5")
	case d.CoresPerNode < 0 || d.CoresPerNode > 256:
		return errors.New("--cores-per-node: must be from 1 to 256")
	case !number(d.ViewsPerVisit) || d.ViewsPerVisit < 1:
		return errors.New("--views-per-visit: must be 1 or more")
	case !number(d.ActiveSites) || d.ActiveSites <= 0 || d.ActiveSites > 1:
		return errors.New("--active-sites: must be a share above 0, at most 1")
	case !number(d.QuestionsPer1k) || d.QuestionsPer1k < 0:
		return errors.New("--questions-per-1000-views: must be 0 or more")
	}
	return nil
}

// MeanPerSecond is the mean rate of views.
func (d *Demand) MeanPerSecond() float64 { return d.ViewsPerMonth / secondsMonth }

// PeakPerSecond is the rate that the cluster must bear.
func (d *Demand) PeakPerSecond() float64 { return d.MeanPerSecond() * d.PeakFactor }

// Loss is what is missing.
type Loss int

// What may be missing.
const (
	Nothing Loss = iota
	OneNode
	OneRegion
)

// MarshalText gives the words of String.
func (l Loss) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

func (l Loss) String() string {
	return [...]string{"all nodes there", "a node lost", "a region lost"}[l]
}

// State is the cluster while something is missing.
type State struct {
	Loss   Loss `json:"loss"`
	Nodes  int  `json:"nodes"`  // left
	Copies int  `json:"copies"` // of each site, once those lost are made again elsewhere
	Serves bool `json:"serves"` // views are still acknowledged
	Node   Node `json:"node"`   // the busiest of those left
}

// Node is the busiest node's need at the peak.
type Node struct {
	Use         Use     `json:"use"`
	Cores       float64 `json:"cores"`        // used, Use with the skew
	MemoryBytes float64 `json:"memory_bytes"` // used
	Memory      [6]Part `json:"memory"`       // of MemoryBytes
	DiskBytes   float64 `json:"disk_bytes"`   // used at the end of the retention
	Disk        [3]Part `json:"disk"`         // of DiskBytes
	InBits      float64 `json:"in_bits"`      // per second, from visitors and from other nodes
	OutBits     float64 `json:"out_bits"`     // to visitors and to other nodes
}

// Part is a part of a sum.
type Part struct {
	Name  string  `json:"name"`
	Bytes float64 `json:"bytes"`
}

// Result is what is needed.
type Result struct {
	Demand       Demand        `json:"demand"`
	Coefficients *Coefficients `json:"coefficients"`
	Nodes        int           `json:"nodes"`
	CoresPerNode int           `json:"cores_per_node"`
	MemoryPerGiB int           `json:"memory_per_gib"` // of a node, a power of two
	DiskPerGiB   int           `json:"disk_per_gib"`   // of a node, at the end of the retention
	NetworkMbit  float64       `json:"network_mbit"`   // of a node, the busier direction
	States       []State       `json:"states"`
	Options      []Option      `json:"options"`   // other sizes of nodes, the chosen one among them
	Curve        []Point       `json:"curve"`     // how busy the chosen cluster is, by rate
	Notes        []string      `json:"notes"`     // what a reader must know
	Limit        float64       `json:"limit"`     // views a second that the chosen cluster bears while nothing is lost
	Terabytes    []float64     `json:"terabytes"` // on all nodes' disks at the end of each month of the retention
}

// Option is a size of nodes that would do.
type Option struct {
	CoresPerNode int `json:"cores_per_node"`
	Nodes        int `json:"nodes"`
	MemoryPerGiB int `json:"memory_per_gib"`
	DiskPerGiB   int `json:"disk_per_gib"`
}

// Point is how busy the busiest node's cores are at a rate.
type Point struct {
	PerSecond float64    `json:"per_second"`
	Busy      [3]float64 `json:"busy"` // by Loss, as shares; 0 where nothing can be lost
}

// Plan finds the smallest cluster that bears the demand.
func Plan(d Demand, c *Coefficients) (*Result, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("coefficients: %w", err)
	}
	sizes := []int{2, 4, 8}
	if d.CoresPerNode > 0 {
		sizes = []int{d.CoresPerNode}
	}
	r := &Result{Demand: d, Coefficients: c}
	best := -1
	for _, cores := range sizes {
		n, ok := smallest(d, c, cores)
		if !ok {
			continue
		}
		o := option(d, c, n, cores)
		r.Options = append(r.Options, o)
		// Fewer cores in all; among equals the cluster of fewer nodes.
		if best < 0 || o.Nodes*o.CoresPerNode <= r.Options[best].Nodes*r.Options[best].CoresPerNode {
			best = len(r.Options) - 1
		}
	}
	if best < 0 {
		if d.Replicas == 1 {
			return nil, fmt.Errorf("--views-per-month: %.0f views a second at the peak are too much for one node; --replicas 3 spreads them", d.PeakPerSecond())
		}
		return nil, fmt.Errorf("--views-per-month: %.0f views a second at the peak need more than %d nodes of %d cores", d.PeakPerSecond(), nodesMax, sizes[len(sizes)-1])
	}
	o := r.Options[best]
	r.Nodes, r.CoresPerNode, r.MemoryPerGiB, r.DiskPerGiB = o.Nodes, o.CoresPerNode, o.MemoryPerGiB, o.DiskPerGiB
	r.States = states(d, c, r.Nodes, d.PeakPerSecond())
	for _, s := range r.States {
		r.NetworkMbit = max(r.NetworkMbit, s.Node.InBits/1e6, s.Node.OutBits/1e6)
	}
	r.curve()
	for m := 1; m <= d.Retention; m++ {
		r.Terabytes = append(r.Terabytes, onDisk(d, c, float64(m))*float64(d.Replicas)/1e12)
	}
	r.notes()
	return r, nil
}

// smallest finds the least number of nodes of so many cores that bears the
// demand, a multiple of the regions.
func smallest(d Demand, c *Coefficients, cores int) (nodes int, ok bool) {
	step := d.Regions
	if d.Replicas == 1 {
		return 1, fits(d, c, 1, cores, d.PeakPerSecond())
	}
	for n := (d.Replicas + step - 1) / step * step; n <= nodesMax; n += step {
		if fits(d, c, n, cores, d.PeakPerSecond()) {
			return n, true
		}
	}
	return 0, false
}

func fits(d Demand, c *Coefficients, nodes, cores int, perSecond float64) bool {
	for _, s := range states(d, c, nodes, perSecond) {
		if s.Nodes > 0 && s.Node.Cores > busyMax(s.Loss)*float64(cores) {
			return false
		}
	}
	return true
}

func busyMax(l Loss) float64 {
	if l == Nothing {
		return BusyMax
	}
	return BusyLossMax
}

// states are the cluster whole, without a node, and without a region.
func states(d Demand, c *Coefficients, nodes int, perSecond float64) []State {
	out := []State{state(d, c, Nothing, nodes, nodes, perSecond)}
	if nodes > 1 {
		out = append(out, state(d, c, OneNode, nodes, nodes-1, perSecond))
	}
	if d.Regions > 1 {
		out = append(out, state(d, c, OneRegion, nodes, nodes-(nodes+d.Regions-1)/d.Regions, perSecond))
	}
	return out
}

func state(d Demand, c *Coefficients, loss Loss, nodes, left int, perSecond float64) State {
	s := State{Loss: loss, Nodes: left, Copies: min(d.Replicas, left), Serves: true}
	quorum := d.Replicas/2 + 1
	if loss == OneRegion {
		inOne := (d.Replicas + d.Regions - 1) / d.Regions
		s.Serves = d.Replicas-inOne >= quorum
	}
	if left < quorum {
		s.Serves = false
	}
	if left > 0 {
		s.Node = busiest(d, c, left, s.Copies, perSecond, nodes > 1)
	}
	return s
}

// busiest is the need of the busiest of the nodes that share a rate.
func busiest(d Demand, c *Coefficients, nodes, copies int, perSecond float64, member bool) Node {
	n := float64(nodes)
	skew := Skew
	if nodes == copies {
		skew = 1 + (Skew-1)/2 // every node has all sites; only leaders and visitors are spread
	}
	if nodes == 1 {
		skew = 1
	}
	l := Member(perSecond/n, perSecond, d.Sites, nodes, copies)
	l.Questions, l.Member = perSecond/d.PeakFactor*d.QuestionsPer1k/1000*min(d.PeakFactor, 5)/n, member
	u := c.Node(l)
	x := Node{Use: u, Cores: u.Rest + (u.Cores()-u.Rest)*skew}

	share := float64(copies) / n * skew
	perDay := d.ViewsPerMonth * 12 / 365.25
	visitors := perSecond * 1800 / d.ViewsPerVisit
	fresh := min(perSecond*flushSeconds, flushBytes/c.Network.EntryBytes)
	x.Memory = [...]Part{
		{"at rest", c.Memory.RestBytes},
		{"known sites", float64(d.Sites) * c.Memory.KnownSiteBytes},
		{"active sites", min(residentMax, float64(d.Sites)*d.ActiveSites*share) * c.Memory.ActiveSiteBytes},
		{"visitors of half an hour", visitors * share * c.Memory.VisitorBytes},
		{"views of 24 hours", perDay*share*c.Memory.ViewBytes + fresh*share*c.Memory.FreshViewBytes},
		{"answers and days for questions", 0},
	}
	sum := 0.0
	for _, p := range x.Memory {
		sum += p.Bytes
	}
	x.Memory[5].Bytes = min(2<<30, max(64<<20, sum*cachesShare/(MemoryMax-cachesShare))) + 64<<20
	x.MemoryBytes = sum + x.Memory[5].Bytes

	x.Disk = [...]Part{
		{"sealed days", onDisk(d, c, float64(d.Retention)) * share},
		{"days not sealed", perDay * daysUnsealed * c.Disk.UnsealedBytes * share},
		{"log and rewriting", c.Disk.LogBytes},
	}
	for _, p := range x.Disk {
		x.DiskBytes += p.Bytes
	}

	edge := perSecond / n * skew
	led := perSecond / n * skew
	elsewhere := 0.0
	if nodes > 1 {
		elsewhere = 1 - 1/n
	}
	follows := led * float64(copies-1)
	x.InBits = 8 * (edge*c.Network.RequestBytes + (edge*elsewhere+follows)*c.Network.EntryBytes)
	x.OutBits = 8 * (edge*c.Network.AnswerBytes + (edge*elsewhere+follows)*c.Network.EntryBytes)
	return x
}

// residentMax is how many sites a node keeps in memory.
const residentMax = 16_384

// onDisk is the size of one copy of so many months of sealed views.
func onDisk(d Demand, c *Coefficients, months float64) float64 {
	return d.ViewsPerMonth * months * c.Disk.SealedBytes
}

func option(d Demand, c *Coefficients, nodes, cores int) Option {
	o := Option{CoresPerNode: cores, Nodes: nodes}
	for _, s := range states(d, c, nodes, d.PeakPerSecond()) {
		if s.Nodes == 0 {
			continue
		}
		for o.MemoryPerGiB = max(1, o.MemoryPerGiB); float64(o.MemoryPerGiB)*(1<<30)*MemoryMax < s.Node.MemoryBytes; {
			o.MemoryPerGiB *= 2
		}
		disk := s.Node.DiskBytes
		if s.Loss == OneRegion { // its copies are not made again: it comes back
			continue
		}
		o.DiskPerGiB = max(o.DiskPerGiB, 10, roundUp(disk/DiskMax/(1<<30)))
	}
	return o
}

// roundUp rounds to two digits that a buyer would say.
func roundUp(x float64) int {
	if x <= 10 {
		return int(math.Ceil(x))
	}
	unit := math.Pow(10, math.Floor(math.Log10(x))-1)
	return int(math.Ceil(x/unit) * unit)
}

// curve follows how busy the chosen cluster is from nothing to beyond its limit.
func (r *Result) curve() {
	busy := func(perSecond float64) (b [3]float64) {
		for _, s := range states(r.Demand, r.Coefficients, r.Nodes, perSecond) {
			if s.Nodes > 0 {
				b[s.Loss] = s.Node.Cores / float64(r.CoresPerNode)
			}
		}
		return b
	}
	low, high := 0.0, r.Demand.PeakPerSecond()
	for busy(high)[Nothing] < BusyMax && high < 1e12 {
		low, high = high, 2*high
	}
	for range 50 {
		if mid := (low + high) / 2; busy(mid)[Nothing] < BusyMax {
			low = mid
		} else {
			high = mid
		}
	}
	r.Limit = low
	const points = 40
	end := 1.25 * max(r.Limit, r.Demand.PeakPerSecond())
	for i := 0; i <= points; i++ {
		x := end * float64(i) / points
		r.Curve = append(r.Curve, Point{x, busy(x)})
	}
}

func (r *Result) notes() {
	d, c := r.Demand, r.Coefficients
	add := func(format string, args ...any) { r.Notes = append(r.Notes, fmt.Sprintf(format, args...)) }
	for _, s := range r.States {
		switch {
		case s.Loss == OneNode && s.Serves:
			add("Without a node the others bear the peak; what it kept is made again on them where there are more nodes than replicas.")
		case s.Loss == OneRegion && s.Serves:
			add("Without a region the others bear the peak and every site keeps a majority of its replicas.")
		case s.Loss == OneRegion:
			add("Without a region some sites lose the majority of their replicas: reads go on, views wait in the edges' spools until it is back. %d regions keep a majority with %d replicas.", d.Replicas, d.Replicas)
		}
	}
	if d.Replicas == 1 {
		add("One replica: while the node is away nothing is counted, and its disk holds the only copy. --replicas 3 bears the loss of a node.")
	}
	if d.Regions > 1 {
		add("A view is acknowledged by a majority of the replicas, so its latency contains the way between regions.")
	}
	if r.CoresPerNode > 2*c.Machine.Cores {
		add("Measured on %d cores; %d cores a node are an extrapolation. `footfall bench find-limit` on such a node tells.", c.Machine.Cores, r.CoresPerNode)
	}
	add("TLS in front of the nodes, and the balancer, are not contained.")
	if c.From != "" {
		add("%s", c.From)
	}
}

// PeakDiskBytes is what the busiest node's disk holds at the end of the
// retention while all nodes are there, times the nodes.
func (r *Result) PeakDiskBytes() float64 { return r.States[0].Node.DiskBytes * float64(r.Nodes) }
