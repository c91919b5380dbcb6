package clustertest

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"footfall/internal/testcluster"
	"footfall/internal/testnode"
)

// harm is something that a disk does to the store of a node that is not running.
type harm struct {
	name string
	do   func(t *testing.T, store string)
	says string // what the node prints because of it; "": perhaps nothing
	// unread says that nothing of the store can be read any more, what waits in its
	// spool neither.
	unread bool
}

// TestASickDiskCostsOneReplica damages the disk of one node after the other. The
// node says what is wrong and does not serve what it cannot read; the shards go on;
// rebuilt, it has everything again.
func TestASickDiskCostsOneReplica(t *testing.T) {
	w := newWorld(t, testcluster.Options{HAProxy: true}, 12)
	l := w.startLoad(w.Nodes...)
	l.more(200, 50)
	for i, h := range []harm{
		{"a damaged log", damageLog, "replaying WAL", true},
		{"a flipped bit in a table", damageTable, "damaged", false},
		{"a manifest that is gone", loseManifest, "store", true},
		{"a log without its end", cutLog, "", false},
	} {
		t.Log(h.name)
		victim := w.Nodes[i%3]
		rest := w.others(victim)
		l.only(rest...)
		victim.Kill() // what is in memory comes to be in tables at the next start
		victim.Resume()
		w.placed(w.Nodes...)
		l.more(50, 20)
		l.more(200, 50)
		victim.Kill()
		h.do(t, filepath.Join(victim.Data, "store"))
		victim.Begin()
		w.stopsServing(victim, h.says)
		if victim.Running() && h.says != "" { // some of its replicas stand still
			a := victim.Call(t, http.StatusOK, testnode.Request{Path: "/readyz"})
			if !strings.Contains(string(a.Body), "their data is damaged") {
				t.Errorf("the node does not say that replicas do not serve: %s", a.Body)
			}
			w.led(w.Nodes...)
			w.written(l, victim)
			w.knows(victim) // from others
		}
		if !victim.Running() {
			w.led(rest...)
		}
		w.written(l, rest[0])
		l.more(50, 20)
		w.rebuild(victim, h.unread)
		w.placed(w.Nodes...)
		l.only(w.Nodes...)
		l.more(50, 20)
	}
	l.end()
	w.settled(w.Nodes...)
	l.check(w.Nodes...)
	w.verify(w.Nodes[0])
}

// stopsServing waits until a node with a damaged store has ended, or until others
// know which of its replicas stand still; and it has said why. What may stay
// unnoticed is well, too, when every replica is level.
func (w *world) stopsServing(n *testcluster.Node, says string) {
	w.t.Helper()
	other := w.others(n)[0]
	eventually(w.t, n.Name+" notices the damage", func() (bool, string) {
		if !n.Running() {
			return true, ""
		}
		s, err := w.status(other)
		if err != nil {
			return false, err.Error()
		}
		number := s.number(n.Name)
		for _, x := range s.Shards {
			for _, m := range x.Members {
				if m.Node == number && m.Failed {
					return true, ""
				}
			}
		}
		if level, why := s.placed(w.Nodes); says == "" {
			return level, why
		}
		return false, fmt.Sprintf("it runs, and no replica of it has failed: %s", n.Printed())
	})
	if text := string(n.Printed()); !strings.Contains(text, says) {
		w.t.Errorf("%s does not say %q:\n%s", n.Name, says, text)
	}
}

// rebuild gives up the data of a node as an operator does, and starts it again.
// What waits in its spool is delivered, or, where nothing can be read, given up
// when the operator says so and not before.
func (w *world) rebuild(n *testcluster.Node, unread bool) {
	w.t.Helper()
	n.Kill() // it may have ended by itself
	other := w.others(n)[0]
	s, err := w.status(other)
	if err != nil {
		w.t.Fatal(err)
	}
	number := s.number(n.Name)
	args := []string{"cluster", "rebuild", fmt.Sprint(number), "--node-data", n.Data}
	if unread {
		out := testnode.Run(w.t, testnode.Command{Dev: true, Args: append(args, "--data", other.Data)})
		if out.Code == 0 || !strings.Contains(out.Stderr, "--give-up-spool") {
			w.t.Errorf("the spool cannot be read, and the node is rebuilt without a word: code %d\n%s%s", out.Code, out.Stdout, out.Stderr)
		}
		if s, err := w.status(other); err != nil || s.number(n.Name) != number {
			w.t.Errorf("the node was removed all the same: %+v %v", s, err)
		}
		args = append(args, "--give-up-spool")
	}
	other.Footfall(w.t, args...)
	n.Resume()
}

// files lists the files of a store with the suffix, the newest number last.
func files(t *testing.T, store, suffix string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(store, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, suffix) {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil || len(paths) == 0 {
		t.Fatalf("no %s in %s: %v", suffix, store, err)
	}
	slices.Sort(paths)
	return paths
}

// flip changes a byte of a file.
func flip(t *testing.T, path string, at func(content []byte) int) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[at(content)] ^= 0x10
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// damageLog flips a bit of the newest log, far enough from its end that what
// follows shows that it was synced.
func damageLog(t *testing.T, store string) {
	t.Helper()
	logs := files(t, store, ".log")
	flip(t, logs[len(logs)-1], func(content []byte) int { return written(t, content) - 40<<10 })
}

// written is where a log ends; room that was made beforehand follows.
func written(t *testing.T, content []byte) int {
	t.Helper()
	end := len(content)
	for end > 0 && content[end-1] == 0 {
		end--
	}
	if end < 48<<10 {
		t.Fatalf("the log has only %d bytes", end)
	}
	return end
}

// cutLog takes the last entries away, which nothing on the disk shows: they look
// like such that were never synced. Only the other replicas know of them.
func cutLog(t *testing.T, store string) {
	t.Helper()
	logs := files(t, store, ".log")
	path := logs[len(logs)-1]
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(written(t, content)-4<<10)); err != nil {
		t.Fatal(err)
	}
}

// damageTable flips a bit in the middle of the largest table.
func damageTable(t *testing.T, store string) {
	t.Helper()
	largest, size := "", int64(0)
	for _, path := range files(t, store, ".sst") {
		if info, err := os.Stat(path); err == nil && info.Size() > size {
			largest, size = path, info.Size()
		}
	}
	flip(t, largest, func(content []byte) int { return len(content) / 2 })
}

func loseManifest(t *testing.T, store string) {
	t.Helper()
	for _, path := range files(t, store, "") {
		if strings.HasPrefix(filepath.Base(path), "MANIFEST-") {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
}
