package testnode

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// MemoryPeak is the most memory that the running process has held in RAM so
// far, in bytes.
func (n *Node) MemoryPeak(t testing.TB) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.PID()))
	if err != nil {
		t.Skipf("the memory of a process cannot be read here: %v", err)
	}
	for line := range bytes.Lines(text) {
		rest, ok := strings.CutPrefix(string(line), "VmHWM:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return kib << 10
	}
	t.Fatal("the status of the process has no VmHWM")
	return 0
}
