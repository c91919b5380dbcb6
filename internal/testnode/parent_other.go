//go:build !linux

package testnode

import "syscall"

// withParent: nothing of the kind here.
func withParent() *syscall.SysProcAttr { return nil }
