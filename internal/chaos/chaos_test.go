package chaos

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Environment of a campaign.
const (
	minutesVariable = "CHAOS_MINUTES"
	seedVariable    = "CHAOS_SEED"
	rateVariable    = "CHAOS_RATE"
	plantedVariable = "CHAOS_PLANTED" // the bug that the nodes are to have, in a build with planted bugs
)

// opening are the faults that show a planted bug, where it would otherwise be long
// until one of them comes. They are of those that every schedule has.
var opening = map[string][]kind{
	"ack-before-fsync":      {killAll, killAllButLate},
	"standby-acks-unsynced": {killAllButLate, killAllButLate, killAllButLate},
}

func number(t *testing.T, name string, without int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return without
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func TestNothingIsLostAndNothingDoubledUnderFire(t *testing.T) {
	o := Options{
		Seed: uint64(number(t, seedVariable, int(time.Now().UnixNano()))),
		For:  time.Duration(number(t, minutesVariable, 0)) * time.Minute,
		Rate: number(t, rateVariable, 0),
	}
	if bug := os.Getenv(plantedVariable); bug != "" {
		o.Env, o.Hasty, o.First = []string{"PLANTED_BUG=" + bug}, true, opening[bug]
	}
	if o.Rate > 500 {
		o.Clients = o.Rate / 10
	}
	if o.For > 0 {
		o.Log = func(format string, args ...any) { fmt.Printf(format+"\n", args...) } // while it goes on
	}
	defer func() {
		if t.Failed() {
			t.Logf("this schedule comes again with %s=%d", seedVariable, o.Seed)
		}
	}()
	Run(t, o)
}
