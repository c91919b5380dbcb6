package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"footfall/bench/driver"
	"footfall/bench/node"
	"footfall/bench/traffic"
)

const (
	arrayEvents = 1000 // of one request
	arraySends  = 4    // requests at a time
	arrayBodies = 32   // different ones, made before
	beaconConns = 512
)

// arrays measures the CPU of the node per view: single beacons, and arrays of
// 1,000 events as servers send them, in turns.
func (r *report) arrays() error {
	n, err := node.Start(r.binary, "")
	if err != nil {
		return err
	}
	defer n.Stop()
	mix := traffic.Usual()
	if err := n.AddSites(mix.Sites, traffic.Domain); err != nil {
		return err
	}
	var single, array []float64
	for i := range r.rounds {
		mix.Seed = uint64(10 + i)
		x, err := driver.Run(r.ctx, driver.Load{Addr: n.Addr, Mix: mix, Connections: beaconConns, Duration: r.length, PID: n.PID()})
		if err != nil {
			return err
		}
		if x.Refused+x.Failed > 0 {
			return fmt.Errorf("%d beacons were refused", x.Refused+x.Failed)
		}
		single = append(single, 1000*x.CPUPerThousand()/1000)
		y, err := r.sendArrays(n, i)
		if err != nil {
			return err
		}
		array = append(array, y)
	}
	slices.Sort(single)
	slices.Sort(array)
	s, a := single[len(single)/2], array[len(array)/2]
	r.printf("## Arrays of %d events (POST /v1/events) beside single beacons over %d connections\n\n", arrayEvents, beaconConns)
	r.printf("| | µs of CPU per view | views/s per core | ratio | goal |\n|---|---|---|---|---|\n")
	r.printf("| single beacons | %.2f | %.0f | | |\n| arrays | %.2f | %.0f | %.1f | ≥ 8 |\n\n", s, 1e6/s, a, 1e6/a, s/a)
	return nil
}

// sendArrays gives the node's CPU per view, in µs. Bodies are sent again with
// ids of their own, which are all of a body that the node must see anew.
func (r *report) sendArrays(n *node.Process, round int) (float64, error) {
	bodies := make([][]byte, arrayBodies)
	for i := range bodies {
		bodies[i] = arrayBody(uint64(round)<<32 | uint64(i)<<16)
	}
	before, err := driver.CPU(n.PID())
	if err != nil {
		return 0, err
	}
	end := time.Now().Add(r.length)
	var sent, turn atomic.Int64
	var failed error
	var once sync.Once
	var wg sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: arraySends}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	for range arraySends {
		wg.Go(func() {
			var body []byte
			for time.Now().Before(end) && r.ctx.Err() == nil {
				k := turn.Add(1)
				body = numbered(append(body[:0], bodies[int(k)%len(bodies)]...), k)
				if err := r.sendArray(client, n, body); err != nil {
					once.Do(func() { failed = err })
					return
				}
				sent.Add(arrayEvents)
			}
		})
	}
	wg.Wait()
	after, err := driver.CPU(n.PID())
	if err != nil || failed != nil {
		return 0, fmt.Errorf("arrays: %w", firstOf(failed, err))
	}
	return float64((after - before).Microseconds()) / float64(max(1, sent.Load())), nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// mark stands in a body where the number of its sending goes.
const mark = "00000000"

// numbered writes the number of the sending into each id of a body.
func numbered(body []byte, k int64) []byte {
	number := []byte(fmt.Sprintf("%08x", uint32(k)))
	for rest := body; ; {
		i := bytes.Index(rest, []byte(`"id":"`+mark))
		if i < 0 {
			return body
		}
		copy(rest[i+len(`"id":"`):], number)
		rest = rest[i+len(`"id":"`)+len(mark):]
	}
}

// arrayBody makes 1,000 events of what the beacons say, with the fields that
// servers send.
func arrayBody(seed uint64) []byte {
	mix := traffic.Usual()
	mix.Seed = seed
	src := traffic.New(mix, 1)
	out := []byte{'['}
	var request []byte
	for i := range arrayEvents {
		request = src.Append(request[:0])
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
		if err != nil {
			panic(fmt.Sprintf("the generator's request is malformed: %v", err))
		}
		body, _ := io.ReadAll(req.Body) // of memory
		field := func(name string) []byte {
			_, rest, ok := bytes.Cut(body, []byte(`"`+name+`":"`))
			if !ok {
				return nil
			}
			value, _, _ := bytes.Cut(rest, []byte{'"'})
			return value
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, `{"id":"`+mark...)
		out = strconv.AppendUint(out, seed<<20|uint64(i), 16)
		out = append(out, `","site":"`...)
		out = append(out, field("d")...)
		out = append(out, `","url":"`...)
		out = append(out, field("u")...)
		if ref := field("r"); ref != nil {
			out = append(append(out, `","referrer":"`...), ref...)
		}
		out = append(append(out, `","ip":"`...), req.Header.Get("X-Forwarded-For")...)
		out = append(append(out, `","user_agent":"`...), req.UserAgent()...)
		out = append(out, `","language":"en-GB"}`...)
	}
	return append(out, ']')
}

func (r *report) sendArray(client *http.Client, n *node.Process, body []byte) error {
	req, err := http.NewRequestWithContext(r.ctx, http.MethodPost, "http://"+n.Addr+"/v1/events", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+n.Token)
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if got := bytes.Count(text, []byte(`"status":"accepted"`)); res.StatusCode != http.StatusAccepted || got != arrayEvents {
		return fmt.Errorf("POST /v1/events: %s: %d of %d accepted: %.200s", res.Status, got, arrayEvents, text)
	}
	return nil
}
