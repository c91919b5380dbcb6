package results

import (
	"io"
	"time"
)

// Limit is a search for the highest rate that a server bears.
type Limit struct {
	Version  int       `json:"version"`
	Scenario string    `json:"scenario"`
	Commit   string    `json:"commit"`
	Started  time.Time `json:"started"`
	Machine  Machine   `json:"machine"`
	P99US    int64     `json:"p99_us_bound"`
	Rate     float64   `json:"rate_per_second"` // the highest that held each time it was tried; 0: none did
	Trials   []Trial   `json:"trials"`          // in the order in which they were made
	Notes    []string  `json:"notes,omitempty"`

	Conservation *Conservation `json:"conservation,omitempty"` // over all trials
}

// Trial is one rate that was tried.
type Trial struct {
	Rate    float64 `json:"rate_per_second"` // intended
	Phase   string  `json:"phase"`           // grow, bisect or confirm
	Good    bool    `json:"good"`
	Why     string  `json:"why,omitempty"` // it was not good
	Sent    float64 `json:"answered_per_second"`
	P50     int64   `json:"p50_us"`
	P99     int64   `json:"p99_us"`
	Refused int64   `json:"refused"`
	Failed  int64   `json:"failed"`
	CPU     float64 `json:"server_cores"`
}

// ReadLimit decodes a search.
func ReadLimit(r io.Reader) (*Limit, error) {
	var l Limit
	if err := decode(r, &l, func() int { return l.Version }); err != nil {
		return nil, err
	}
	return &l, nil
}

// Comparison is several servers under the same load, in turns.
type Comparison struct {
	Version int        `json:"version"`
	Commit  string     `json:"commit"`
	Started time.Time  `json:"started"`
	Machine Machine    `json:"machine"`
	Rounds  int        `json:"rounds"`
	Seconds float64    `json:"seconds"` // of one measurement
	Rows    []Compared `json:"rows"`
	Notes   []string   `json:"notes,omitempty"`
}

// Compared is one server at one number of connections: the round whose CPU per
// request is in the middle. Ratios are to the bare server at as many
// connections.
type Compared struct {
	Connections    int     `json:"connections"`
	Name           string  `json:"name"`
	Dialect        string  `json:"dialect"`
	RatePerSec     float64 `json:"answered_per_second"`
	CPUPerThousand float64 `json:"cpu_ms_per_thousand"` // 0: the server's CPU is not known
	P50            int64   `json:"p50_us"`
	P99            int64   `json:"p99_us"`
	Refused        int64   `json:"refused"`
	Failed         int64   `json:"failed"`
	RateRatio      float64 `json:"rate_ratio,omitempty"`
	CPURatio       float64 `json:"cpu_ratio,omitempty"`
	Rounds         []Round `json:"rounds"`
}

// Round is one measurement of a comparison.
type Round struct {
	RatePerSec     float64 `json:"answered_per_second"`
	CPUPerThousand float64 `json:"cpu_ms_per_thousand"`
	P99            int64   `json:"p99_us"`
}

// ReadComparison decodes a comparison.
func ReadComparison(r io.Reader) (*Comparison, error) {
	var c Comparison
	if err := decode(r, &c, func() int { return c.Version }); err != nil {
		return nil, err
	}
	return &c, nil
}
