//go:build unix

package fleet

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps the terminal's Ctrl-C from the node: it is stopped when the
// comparison after the load is over, not before.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
