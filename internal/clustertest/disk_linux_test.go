package clustertest

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"footfall/internal/testcluster"
	"footfall/internal/testnode"
)

// TestAFullDiskOfOneNodeHoldsNobodyUp fills the disk of one of three nodes: first
// so that it takes no views, then to the last byte.
func TestAFullDiskOfOneNodeHoldsNobodyUp(t *testing.T) {
	const size, reserve = 384 << 20, 64 << 20
	o := testcluster.Options{HAProxy: true, Args: []string{"--api-keys-per-hour", "0"}, ArgsOf: func(n *testcluster.Node) []string {
		if n.Index == 1 {
			return []string{"--disk-reserve", strconv.Itoa(reserve)}
		}
		return nil
	}}
	c := testcluster.New(t, o)
	small := c.Nodes[1]
	if err := os.MkdirAll(small.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", small.Data, "tmpfs", 0, "size="+strconv.Itoa(size)); err != nil {
		t.Skipf("a small disk cannot be mounted here, which needs root: %v", err)
	}
	t.Cleanup(func() {
		if small.Running() {
			small.Kill()
		}
		if err := syscall.Unmount(small.Data, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	c.Run()
	w := settle(t, c, o, 12)
	rest := w.others(small)
	l := w.startLoad(w.Nodes...)
	l.more(100, 50)
	ballast := filepath.Join(small.Data, "ballast")

	fill(t, small.Data, ballast, reserve/2)
	eventually(t, "the node with the full disk says so", func() (bool, string) {
		a, err := small.Do(t.Context(), testnode.Request{Path: "/readyz"})
		return err == nil && a.Status == 503 && strings.Contains(string(a.Body), "disk"), string(a.Body)
	})
	eventually(t, "it leads nothing any more", func() (bool, string) {
		s, err := w.status(rest[0])
		if err != nil {
			return false, err.Error()
		}
		x := s.node(small.Name)
		return x.Leaders == 0 && s.leaderless(rest) == 0, strconv.Itoa(x.Leaders)
	})
	w.written(l, rest[0])
	l.more(100, 50) // its own answers go on as well

	l.only(rest...)
	fill(t, small.Data, ballast, 0)
	l.more(100, 50)
	w.written(l, rest[1])
	eventually(t, "the node ends when nothing can be written", func() (bool, string) {
		return !small.Running(), "it runs"
	})
	if text := string(small.Printed()); !strings.Contains(text, "no space left on device") {
		t.Errorf("the node does not say why it ended:\n%s", text)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	small.AwaitEnd()
	small.Resume()
	w.placed(w.Nodes...)
	l.only(w.Nodes...)
	l.more(50, 20)
	l.end()
	w.settled(w.Nodes...)
	l.check(w.Nodes...)
	w.verify(rest[0])
}

// fill makes a file grow until so many bytes are free.
func fill(t *testing.T, disk, path string, leave uint64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for {
		var s syscall.Statfs_t
		if err := syscall.Statfs(disk, &s); err != nil {
			t.Fatal(err)
		}
		free := s.Bavail * uint64(s.Bsize)
		if free <= leave {
			return
		}
		if _, err := f.Write(block[:min(uint64(len(block)), free-leave)]); errors.Is(err, syscall.ENOSPC) && leave == 0 {
			return
		} else if err != nil {
			t.Fatalf("fill the disk: %v", err)
		}
	}
}
