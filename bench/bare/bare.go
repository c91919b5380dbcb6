// Package bare is the limit that a beacon is compared with: a server that reads
// the body and answers 204. It must never do anything else. Start at Serve.
package bare

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// Serve answers on ln until ctx is over, and closes ln.
func Serve(ctx context.Context, ln net.Listener) error {
	var bytes atomic.Int64 // so that the body is looked at
	s := &fasthttp.Server{
		Handler: func(ctx *fasthttp.RequestCtx) {
			bytes.Add(int64(len(ctx.PostBody())))
			ctx.SetStatusCode(fasthttp.StatusNoContent)
		},
		NoDefaultServerHeader: true, NoDefaultDate: true, NoDefaultContentType: true, ReduceMemoryUsage: true,
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	select {
	case err := <-served:
		if err == nil {
			err = errors.New("the listener is closed")
		}
		return fmt.Errorf("serve bare: %w", err)
	case <-ctx.Done():
	}
	err := s.Shutdown()
	<-served
	if err != nil {
		return fmt.Errorf("stop the bare server: %w", err)
	}
	return nil
}
