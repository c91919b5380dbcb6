package nodetest

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"footfall/internal/testnode"
)

const exitDiskFull = 10

func TestANodeWithoutRoomDoesNotStart(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	out := testnode.Run(t, testnode.Command{Args: []string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--disk-reserve", "1000TB"}})
	if out.Code != exitDiskFull || !holds(out.Stderr, "disk is full", data) {
		t.Errorf("got code %d and %q", out.Code, out.Stderr)
	}
	if _, err := os.Stat(filepath.Join(data, "store")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a store was made all the same: %v", err)
	}
	testnode.Start(t, testnode.Options{Data: data, Args: []string{"--disk-reserve", "1MiB"}})
}

// TestAFullDiskRefusesViewsUntilThereIsRoom fills a small disk under load.
func TestAFullDiskRefusesViewsUntilThereIsRoom(t *testing.T) {
	const size, reserve = 256 << 20, 32 << 20
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size="+strconv.Itoa(size)); err != nil {
		t.Skipf("a small disk cannot be mounted here, which needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	random := seeded(t)
	n := testnode.Start(t, testnode.Options{Data: filepath.Join(disk, "data"),
		Args: []string{"--rate-limit-address", "0", "--disk-reserve", strconv.Itoa(reserve)}})
	sites := addSites(t, n, 3)
	l := startLoad(t, n, sites, 8, random)
	ballast := filepath.Join(disk, "ballast")
	for round := range 2 {
		before := l.total.Load()
		testnode.Until(t, "views are acknowledged", func() bool { return l.total.Load() > before+100 || t.Failed() })
		fill(t, disk, ballast, reserve*2/5)
		refused := l.busy.Load()
		testnode.Until(t, "views are refused", func() bool { return l.busy.Load() > refused+20 || t.Failed() })
		a := n.Call(t, http.StatusServiceUnavailable, testnode.Request{Path: "/readyz"})
		if !holds(string(a.Body), "disk") {
			t.Errorf("the node does not say why it is not ready: %s", a.Body)
		}
		if n.Metric(t, "footfall_disk_writable") != 0 {
			t.Error("the metrics call the disk writable")
		}
		for i, site := range sites { // reads go on
			if got, least := n.Count(t, site, "pageviews"), l.acked[i].Load(); int64(got) < least {
				t.Errorf("%s: %d views, %d are acknowledged", site, got, least)
			}
		}
		if round == 1 { // and a kill now is no worse than at any other time
			n.Kill()
			out := testnode.Run(t, testnode.Command{Args: []string{"serve", "--data", n.Data, "--listen", "127.0.0.1:0", "--disk-reserve", strconv.Itoa(reserve)}})
			if out.Code != exitDiskFull {
				t.Errorf("a start on the full disk has code %d: %s", out.Code, out.Stderr)
			}
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		if round == 1 {
			n.Resume()
		}
		before = l.total.Load()
		testnode.Until(t, "views are accepted again", func() bool { return l.total.Load() > before+100 || t.Failed() })
	}
	l.end()
	l.check("after the disk was full")
	n.Stop()
	n.Resume()
	l.check("after an orderly end")
}

// fill makes a file that leaves so many bytes free.
func fill(t *testing.T, disk, path string, leave uint64) {
	t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(disk, &s); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for free := s.Bavail * uint64(s.Bsize); free > leave; free = s.Bavail * uint64(s.Bsize) {
		if _, err := f.Write(block[:min(uint64(len(block)), free-leave)]); err != nil {
			t.Fatalf("fill the disk: %v", err)
		}
		if err := syscall.Statfs(disk, &s); err != nil {
			t.Fatal(err)
		}
	}
}
