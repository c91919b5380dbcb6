package capacity

import (
	"errors"
	"math"
)

// Sample is a measured run of one node, alone or with others beside it.
type Sample struct {
	Edge      float64 `json:"edge"`       // views that it took from visitors
	PerSecond float64 `json:"per_second"` // views that it wrote
	Sites     int     `json:"sites"`
	Seconds   float64 `json:"seconds"`
	Cores     float64 `json:"cores"`   // user and system time of the node, per second
	Syncs     float64 `json:"syncs"`   // per second; 0: not known
	Entries   float64 `json:"entries"` // per second; 0: not known
}

// Fit finds the costs that explain samples best, relative to each: a view where
// it comes in and on each replica, an entry, a sync and one after a pause, and
// how long a sync takes. Those that samples cannot tell are 0: of a node that
// took all that it wrote, a view is all in EdgeMicros. rest is the CPU of a node
// at rest, in cores. It needs samples of three rates that are each half as high
// again as the one before.
func Fit(rest float64, samples []Sample) (Costs, error) {
	c := Costs{RestCores: rest}
	if err := c.fitWrites(samples); err != nil {
		return c, err
	}
	var rows [][]float64
	var want []float64
	shared := false // some took less than they wrote
	for _, s := range samples {
		shared = shared || s.Edge < s.PerSecond/2
	}
	for _, s := range samples {
		seconds, _ := roundOf(s.PerSecond, s.Syncs)
		row := []float64{s.Edge, s.PerSecond, s.Entries, s.Syncs, s.Syncs * paused(s.PerSecond, seconds)}
		if !shared {
			row[1] = 0
		}
		for i := range row {
			row[i] /= s.Cores
		}
		rows, want = append(rows, row), append(want, math.Max(0, s.Cores-rest)/s.Cores)
	}
	x := positive(rows, want)
	c.EdgeMicros, c.ViewMicros, c.EntryMicros, c.SyncMicros, c.WakeMicros = x[0]*1e6, x[1]*1e6, x[2]*1e6, x[3]*1e6, x[4]*1e6
	return c, nil
}

// fitWrites finds how long a synced write takes.
func (c *Costs) fitWrites(samples []Sample) error {
	rates := map[int]bool{}
	var rows [][]float64
	var want []float64
	for _, s := range samples {
		if s.PerSecond <= 0 || s.Cores <= 0 || s.Syncs <= 0 || s.Entries <= 0 {
			return errors.New("samples: each needs a rate, CPU, syncs and entries")
		}
		rates[int(math.Round(math.Log(s.PerSecond)/math.Log(1.5)))] = true
		if seconds, ok := roundOf(s.PerSecond, s.Syncs); ok {
			rows = append(rows, []float64{1 / seconds, paused(s.PerSecond, seconds) / seconds, s.Entries / s.Syncs / seconds, s.PerSecond / s.Syncs / seconds})
			want = append(want, 1)
		}
	}
	switch {
	case len(rates) < 3:
		return errors.New("samples: at least three rates are needed, each half as high again as the one before")
	case len(rows) == 0:
		return errors.New("samples: none is busy enough to tell how long a sync takes")
	}
	x := positive(rows, want)
	c.SyncMS, c.SyncWakeMS, c.SyncEntryMS, c.SyncViewMS = x[0]*1e3, x[1]*1e3, x[2]*1e3, x[3]*1e3
	return nil
}

// roundOf gives how long a round lasts that is made syncs times a second at a
// rate: Rounds the other way round. A log with a sync for nearly every view does
// not tell.
func roundOf(perSecond, syncs float64) (seconds float64, ok bool) {
	low, high := 0.0, 1/syncs
	for range 60 {
		mid := (low + high) / 2
		if Rounds(perSecond, mid) > syncs {
			low = mid
		} else {
			high = mid
		}
	}
	return (low + high) / 2, syncs < 0.9*perSecond
}

// positive solves rows × x = want by least squares with no x below 0. It tries
// every choice of the columns that are not 0, so it is for a few of them only.
func positive(rows [][]float64, want []float64) []float64 {
	n := len(rows[0])
	best, bestError := make([]float64, n), math.Inf(1)
	for choice := 0; choice < 1<<n; choice++ {
		var columns []int
		for j := range n {
			if choice&(1<<j) != 0 {
				columns = append(columns, j)
			}
		}
		part, ok := leastSquares(rows, want, columns)
		if !ok {
			continue
		}
		x := make([]float64, n)
		for k, j := range columns {
			x[j] = part[k]
			ok = ok && part[k] >= 0
		}
		if !ok {
			continue
		}
		sum := 0.0
		for i, row := range rows {
			d := want[i]
			for j := range row {
				d -= row[j] * x[j]
			}
			sum += d * d
		}
		if sum < bestError {
			best, bestError = x, sum
		}
	}
	return best
}

// leastSquares solves the normal equations of some columns by elimination; ok
// is false when they do not have one solution.
func leastSquares(rows [][]float64, want []float64, columns []int) (x []float64, ok bool) {
	n := len(columns)
	a := make([][]float64, n)
	for i := range a {
		a[i] = make([]float64, n+1)
		for k, row := range rows {
			for j := range columns {
				a[i][j] += row[columns[i]] * row[columns[j]]
			}
			a[i][n] += row[columns[i]] * want[k]
		}
	}
	for i := range n {
		pivot := i
		for k := i + 1; k < n; k++ {
			if math.Abs(a[k][i]) > math.Abs(a[pivot][i]) {
				pivot = k
			}
		}
		a[i], a[pivot] = a[pivot], a[i]
		if math.Abs(a[i][i]) < 1e-300 {
			return nil, false
		}
		for k := range n {
			if k == i {
				continue
			}
			f := a[k][i] / a[i][i]
			for j := i; j <= n; j++ {
				a[k][j] -= f * a[i][j]
			}
		}
	}
	x = make([]float64, n)
	for i := range x {
		x[i] = a[i][n] / a[i][i]
	}
	return x, true
}
