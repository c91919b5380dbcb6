package discovery

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// view is what one Watch has reported.
type view struct {
	t       *testing.T
	mu      sync.Mutex
	lists   [][]Member
	changed chan struct{} // closed at the next report
}

// watch follows d until the test ends.
func watch(t *testing.T, d Discovery) *view {
	t.Helper()
	v := &view{t: t, changed: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := d.Watch(ctx, v.report); err != context.Canceled {
			t.Errorf("Watch ended with %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		watching.Wait()
	})
	return v
}

func (v *view) report(members []Member) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.lists = append(v.lists, members)
	close(v.changed)
	v.changed = make(chan struct{})
}

// await waits for a list of these names, in the order of the addresses.
func (v *view) await(names ...string) []Member {
	v.t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for {
		v.mu.Lock()
		changed := v.changed
		var last []Member
		if len(v.lists) > 0 {
			last = v.lists[len(v.lists)-1]
		}
		told := len(v.lists) > 0
		v.mu.Unlock()
		var got []string
		for _, m := range last {
			got = append(got, m.Name)
		}
		if told && slices.Equal(got, names) {
			return last
		}
		select {
		case <-changed:
		case <-deadline.C:
			v.t.Fatalf("waited in vain for %v; the last list is %v", names, got)
		}
	}
}

// count is the number of reports so far.
func (v *view) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.lists)
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("waited in vain: %s", what)
		case <-again.C:
		}
	}
}
