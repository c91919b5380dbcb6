// Package testprocess runs other programs for tests: what they print is kept,
// they get signals, and they die with the test, also when the test is killed.
// It knows nothing about any program, and never uses a time that passes as a
// sign that something happened. Start at Run.
package testprocess

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
)

// Process is one running program. Calls may be concurrent.
type Process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process is gone and its output read

	mu  sync.Mutex
	err error // of its end; set before exited is closed
}

// Run starts cmd, whose outputs the caller has set. Somebody has to Kill it.
func Run(cmd *exec.Cmd) (*Process, error) {
	cmd.SysProcAttr = WithParent()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	p := &Process{cmd: cmd, exited: make(chan struct{})}
	go func() { // ends with the process, which Kill waits for
		err := cmd.Wait()
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
		close(p.exited)
	}()
	return p, nil
}

// Exited is closed when the process is gone.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Err is how the process ended, nil for code 0; ask it after Exited.
func (p *Process) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Code is the exit code, -1 after a deadly signal; ask it after Exited.
func (p *Process) Code() int {
	<-p.exited
	return p.cmd.ProcessState.ExitCode()
}

// Signal sends a signal; a process that is gone gets none.
func (p *Process) Signal(signal syscall.Signal) error {
	select {
	case <-p.exited:
		return os.ErrProcessDone
	default:
		return p.cmd.Process.Signal(signal)
	}
}

// Kill ends the process at once and waits until it is gone, also while it is
// stopped by a signal.
func (p *Process) Kill() {
	_ = p.Signal(syscall.SIGKILL) // it may have ended by itself
	<-p.exited
}

// Environment is that of the test without the variables that begin with one of
// the prefixes, and with more, "NAME=value".
func Environment(without []string, more ...string) []string {
	var env []string
next:
	for _, pair := range os.Environ() {
		for _, prefix := range without {
			if strings.HasPrefix(pair, prefix) {
				continue next
			}
		}
		env = append(env, pair)
	}
	return append(env, more...)
}
