//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package door

import "syscall"

// closedByPeer tells whether the other end has closed the connection and
// everything that it sent has been read. It neither waits nor takes a byte.
//
// Control and not Read: Read would wait for the lock of a reader, and end with
// the deadline for reading the request, which is over by now.
func closedByPeer(conn syscall.RawConn) bool {
	gone := false
	err := conn.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch err {
		case nil:
			gone = n == 0
		case syscall.EAGAIN, syscall.EINTR:
		default:
			gone = true // reset, most likely
		}
	})
	return gone || err != nil
}
