//go:build dev

package main

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"time"

	"footfall/analytics"
)

const (
	blockEveryNS = 10_000 // waits of 10 µs are sampled once each on average
	mutexEvery   = 10     // one of so many waits for a mutex is sampled
)

// takeProfile profiles this process for d: cpu, mutex, block and trace what
// happens meanwhile; allocs everything since the start.
func takeProfile(kind string, d time.Duration) ([]byte, error) {
	var b bytes.Buffer
	switch kind {
	case "", "cpu":
		if err := pprof.StartCPUProfile(&b); err != nil {
			return nil, analytics.Errorf(analytics.Conflict, "a profile is being taken already")
		}
		time.Sleep(d)
		pprof.StopCPUProfile()
		return b.Bytes(), nil
	case "trace":
		if err := trace.Start(&b); err != nil {
			return nil, analytics.Errorf(analytics.Conflict, "a trace is being taken already")
		}
		time.Sleep(d)
		trace.Stop()
		return b.Bytes(), nil
	case "mutex":
		runtime.SetMutexProfileFraction(mutexEvery)
		defer runtime.SetMutexProfileFraction(0)
		time.Sleep(d)
	case "block":
		runtime.SetBlockProfileRate(blockEveryNS)
		defer runtime.SetBlockProfileRate(0)
		time.Sleep(d)
	case "allocs":
		time.Sleep(d)
	default:
		return nil, analytics.Errorf(analytics.Invalid, "kind: %q is none of cpu, allocs, mutex, block, trace", kind)
	}
	if err := pprof.Lookup(kind).WriteTo(&b, 0); err != nil {
		return nil, fmt.Errorf("profile %s: %w", kind, err)
	}
	return b.Bytes(), nil
}
