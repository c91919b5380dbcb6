package nodetest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seedVariable repeats a run of the random tests.
const seedVariable = "NODETEST_SEED"

// seeded gives randomness and says, when the test fails, how to repeat it.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the faults of this run come again with %s=%d go test -run '^%s$' ./internal/nodetest", seedVariable, seed, t.Name())
		}
	})
	return rand.New(rand.NewPCG(seed, 1))
}
