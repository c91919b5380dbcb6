package transport

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// cpu gives the processor time of this process, both nodes included.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func ways(b *testing.B, bench func(b *testing.B, change func(*Config))) {
	b.Run("plain", func(b *testing.B) { bench(b, nil) })
	b.Run("tls", func(b *testing.B) { bench(b, withTLS(certificates(b, time.Now))) })
}

// BenchmarkSend measures a message from Send to the other node's handler.
func BenchmarkSend(b *testing.B) {
	for _, size := range []int{100, 4 << 10, 32 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			ways(b, func(b *testing.B, change func(*Config)) {
				var arrived atomic.Int64
				a, _ := pair(b, &script{}, &script{message: func(Node, Lane, []byte) { arrived.Add(1) }}, change)
				body := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				before := cpu()
				b.ResetTimer()
				for range b.N {
					for !a.Send(2, Append, body) {
						runtime.Gosched()
					}
				}
				for arrived.Load() < int64(b.N) {
					if !a.Connected(2) {
						b.Fatal("the session broke")
					}
					runtime.Gosched()
				}
				b.StopTimer()
				b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
			})
		})
	}
}

// BenchmarkCall measures round trips, one after another and many at once.
func BenchmarkCall(b *testing.B) {
	for _, c := range []struct{ callers, size int }{{1, 100}, {32, 100}, {8, 64 << 10}} {
		b.Run(fmt.Sprintf("%dx%d", c.callers, c.size), func(b *testing.B) {
			ways(b, func(b *testing.B, change func(*Config)) {
				a, _ := pair(b, &script{}, &script{call: func(context.Context, Peer, uint8, []byte) ([]byte, error) { return nil, nil }}, change)
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				body := make([]byte, c.size)
				b.SetBytes(int64(c.size))
				b.ReportAllocs()
				before := cpu()
				b.ResetTimer()
				var left atomic.Int64
				left.Store(int64(b.N))
				var callers sync.WaitGroup
				for range c.callers {
					callers.Go(func() {
						for left.Add(-1) >= 0 {
							if _, err := a.Call(ctx, 2, 1, body); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				callers.Wait()
				b.StopTimer()
				b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
			})
		})
	}
}
