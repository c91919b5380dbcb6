// Package machine tells what a measurement was made on. It must never tell who
// the machine belongs to or what it is called. Start at Look.
package machine

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"footfall/bench/results"
)

// Look describes this machine as far as it can be known.
func Look() results.Machine {
	m := results.Machine{Cores: runtime.NumCPU(), CPU: "unknown", OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	if name, ok := field("/proc/cpuinfo", "model name"); ok {
		m.CPU = name
	}
	if text, ok := field("/proc/meminfo", "MemTotal"); ok {
		kb, err := strconv.ParseInt(strings.TrimSuffix(text, " kB"), 10, 64)
		if err == nil {
			m.MemoryBytes = kb << 10
		}
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		first, _, _ := strings.Cut(string(b), " ")
		m.LoadBefore, _ = strconv.ParseFloat(first, 64) // 0 where it is not known
	}
	return m
}

// field gives the value of the first line "name : value" of a file.
func field(file, name string) (string, bool) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strings.Trim(rest, " \t:\n"), true
		}
	}
	return "", false
}
