package driver

import (
	"fmt"
	"runtime"
	"syscall"
	"time"
)

// ThreadCPU is the user and system time of the calling goroutine's thread, which
// it must be locked to; see Locked.
func ThreadCPU() (time.Duration, error) {
	const thread = 1 // RUSAGE_THREAD
	var u syscall.Rusage
	if err := syscall.Getrusage(thread, &u); err != nil {
		return 0, fmt.Errorf("cpu of this thread: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// Locked runs f on a thread of its own.
func Locked(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return f()
}
