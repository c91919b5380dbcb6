package main

import "testing"

const sample = `File: footfall-dev
Type: cpu
-----------+-------------------------------------------------------
 10000000ns   internal/runtime/syscall.Syscall6
             syscall.write
             internal/poll.(*FD).Write
             net.(*conn).Write
             github.com/valyala/fasthttp.(*Server).serveConn
-----------+-------------------------------------------------------
 20000000ns   runtime.mapaccess1
             footfall/enrich/agent.Parse
             footfall/http/beacon.(*Door).event
-----------+-------------------------------------------------------
  5000000ns   runtime.futex
             runtime.futexwakeup
             runtime.goready
             footfall/cluster.(*Router).Apply
-----------+-------------------------------------------------------
  1000000ns   footfall/http/beacon.(*Door).event
             github.com/valyala/fasthttp.(*Server).serveConn
-----------+-------------------------------------------------------
  2000000ns   example.com/unknown.Frame
`

func TestEachStackBelongsToOneStage(t *testing.T) {
	got, err := classify([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{"socket write (kernel)": 1e7, "UA": 2e7, "scheduler": 5e6, "beacon, the rest": 1e6, "other": 2e6}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s: got %v, want %v", k, got[k], v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
	if _, err := classify([]byte("nothing")); err == nil {
		t.Error("a profile without stacks is taken")
	}
}
