//go:build !linux

package testprocess

import "syscall"

// WithParent: nothing of the kind here.
func WithParent() *syscall.SysProcAttr { return nil }
