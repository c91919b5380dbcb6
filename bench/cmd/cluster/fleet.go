package main

import (
	"net/http"
	"time"

	"footfall/bench/driver"
	"footfall/bench/fleet"
)

// size is how many nodes are measured.
const (
	size      = 3
	lookEvery = 20 * time.Millisecond
)

// trio is nodes that found one another, and who asks them.
type trio struct {
	*fleet.Fleet
	r    *report
	http *http.Client
}

// start runs nodes and waits until every shard has three replicas.
func (r *report) start() (*trio, error) {
	f, err := fleet.Start(r.ctx, r.binary, size)
	if err != nil {
		return nil, err
	}
	return &trio{f, r, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512}, Timeout: time.Minute}}, nil
}

func (f *trio) stop() {
	f.http.CloseIdleConnections()
	f.Stop()
}

// cpu is the time that all nodes have used.
func (f *trio) cpu() (each [size]time.Duration, sum time.Duration, err error) {
	for i, m := range f.Nodes {
		if each[i], err = driver.CPU(m.PID()); err != nil {
			return each, 0, err
		}
		sum += each[i]
	}
	return each, sum, nil
}
