//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package door

import "syscall"

// closedByPeer cannot tell here.
func closedByPeer(syscall.RawConn) bool { return false }
