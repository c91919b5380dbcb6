package testnode

import (
	"testing"
	"time"
)

// untilMax is how long Until waits. It is generous because machines are busy;
// what passes passes at once.
const untilMax = 60 * time.Second

// Until waits until ok, which is asked again and again, and fails the test when
// that is never.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(untilMax)
	defer deadline.Stop()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("waited %v in vain: %s", untilMax, what)
		case <-again.C:
		}
	}
}
