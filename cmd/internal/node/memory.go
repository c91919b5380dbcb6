package node

import (
	"bytes"
	"os"
	"strconv"
)

// Room for what questions read and remember: a share of the memory there is,
// within bounds.
const (
	cacheShare       = 16
	cacheBudgetShare = 4 // of a memory budget that was set
	cacheBytesMin    = 64 << 20
	cacheBytesMax    = 2 << 30
)

// budgetRows is how many events and visits one question may look at.
const budgetRows = 100_000_000

// cacheBytes chooses the room for questions. budget is what the operator set, 0
// if nothing.
func cacheBytes(budget int64) uint64 {
	if budget > 0 {
		return max(cacheBytesMin, uint64(budget)/cacheBudgetShare)
	}
	return min(cacheBytesMax, max(cacheBytesMin, memoryBytes()/cacheShare))
}

// memoryBytes is the memory that this process may use: the machine's, or what
// its control group allows; 0 if neither tells.
func memoryBytes() uint64 {
	total := uint64(0)
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		for line := range bytes.Lines(text) {
			if f := bytes.Fields(line); len(f) == 3 && string(f[0]) == "MemTotal:" {
				if kb, err := strconv.ParseUint(string(f[1]), 10, 64); err == nil {
					total = kb << 10
				}
			}
		}
	}
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if n, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64); err == nil && (total == 0 || n < total) {
			total = n
		}
	}
	return total
}

// spoolBytes is how much of the disk the spool may take: a tenth, unless the
// operator said.
func (n *Node) spoolBytes() int64 {
	if n.cfg.SpoolMax > 0 {
		return n.cfg.SpoolMax
	}
	return max(spoolBytesMin, int64(n.guard.Stats().Total/10))
}

const spoolBytesMin = 64 << 20
