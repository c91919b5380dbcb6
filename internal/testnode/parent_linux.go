package testnode

import "syscall"

// withParent makes the kernel end a process when the test that runs it dies.
func withParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
