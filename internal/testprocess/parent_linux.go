package testprocess

import "syscall"

// WithParent makes the kernel end a process when the test that runs it dies.
func WithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
