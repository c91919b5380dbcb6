package node

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails when a node leaves anything running behind it, but for what
// fasthttp keeps for the process, or for some seconds after its shutdown.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreTopFunction("github.com/valyala/fasthttp/stackless.funcWorker"))
}
