package node

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// leaveMax is how long what a node has started may take to be gone.
const leaveMax = 15 * time.Second

// TestMain fails when a node leaves anything running behind it, but for what
// fasthttp keeps for the process, or for some seconds after its shutdown. On a
// busy machine the last goroutines take longer to leave than goleak waits.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := left(); err != nil {
			fmt.Fprintln(os.Stderr, "a node leaves goroutines behind:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func left() error {
	for end := time.Now().Add(leaveMax); ; {
		err := goleak.Find(
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
			goleak.IgnoreTopFunction("github.com/valyala/fasthttp/stackless.funcWorker"))
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}
