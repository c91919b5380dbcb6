package clustertest

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long eventually waits. It is generous because machines are
// busy; what passes passes at once.
const patience = 5 * time.Minute

// eventually waits until ok says so and fails the test with its last word when
// that is never.
func eventually(t testing.TB, what string, ok func() (done bool, why string)) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		done, why := ok()
		if done {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("waited %v in vain: %s; at last: %s", patience, what, why)
		case <-again.C:
		}
	}
}
