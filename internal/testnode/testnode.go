// Package testnode runs Footfall as what it is for its operators: a process of
// its own on a data directory, spoken to by HTTP and signals alone. Tests start
// nodes, kill them at any moment, start them again on the same directory and
// read what they printed. It must never look into a node from inside, build a
// binary, or use a time that passes as a sign that something happened. Start at
// Start.
package testnode

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Bounds of what a node may take, far above what it takes on a busy machine.
const (
	startMax = 90 * time.Second
	stopMax  = 45 * time.Second
	callMax  = 60 * time.Second
)

// Options of a node. The zero value is a release binary on an empty directory.
type Options struct {
	Dev  bool     // bin/footfall-dev instead of bin/footfall
	Data string   // data directory; default one that goes with the test
	Args []string // further flags of serve
	Env  []string // further environment, "NAME=value"
}

// Node is one node through all its lives. It listens on another port in each of
// them. Calls may be concurrent, but for those that begin or end a life.
type Node struct {
	// Data is the directory that the lives share.
	Data string

	t      testing.TB
	opts   Options
	binary string
	client *http.Client
	out    output // of all lives

	mu   sync.Mutex
	life *life         // nil while no process runs
	url  string        // where it serves; "" while it does not
	up   chan struct{} // closed while it serves
}

// life is one process.
type life struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process is gone and its output read
	err    error         // of its end; set before exited is closed
}

// Start runs a node and waits until it is ready. The node ends with the test;
// what it printed is shown when the test has failed.
func Start(t testing.TB, o Options) *Node {
	t.Helper()
	n := New(t, o)
	n.Resume()
	return n
}

// New prepares a node without running it.
func New(t testing.TB, o Options) *Node {
	t.Helper()
	n := &Node{Data: o.Data, t: t, opts: o, binary: Binary(t, o.Dev), up: make(chan struct{})}
	if n.Data == "" {
		n.Data = filepath.Join(t.TempDir(), "data")
	}
	n.client = newClient()
	t.Cleanup(func() {
		n.end(syscall.SIGKILL)
		n.client.CloseIdleConnections()
		if t.Failed() {
			t.Logf("the node printed at last:\n%s", n.out.tail(2<<10))
		}
	})
	return n
}

// Resume runs the node again on its data directory and waits until it is ready.
func (n *Node) Resume() {
	n.t.Helper()
	n.mu.Lock()
	running := n.life != nil
	n.mu.Unlock()
	if running {
		n.t.Fatal("the node is running already")
	}
	l, greeting, err := n.launch()
	if err != nil {
		n.t.Fatalf("start the node: %v", err)
	}
	deadline := time.NewTimer(startMax)
	defer deadline.Stop()
	var url string
	select {
	case url = <-greeting:
	case <-l.exited:
		n.t.Fatalf("the node ended at its start: %v\n%s", l.err, n.out.tail(4<<10))
	case <-deadline.C:
		n.end(syscall.SIGQUIT) // prints what its goroutines wait for
		n.t.Fatalf("the node does not serve after %v:\n%s", startMax, n.out.tail(32<<10))
	}
	n.mu.Lock()
	n.url = url
	close(n.up)
	n.mu.Unlock()
	Until(n.t, "the node is ready", func() bool {
		a, err := n.Do(context.Background(), Request{Path: "/readyz"})
		return err == nil && a.Status == http.StatusOK
	})
}

// launch starts the process; its URL comes through the channel.
func (n *Node) launch() (*life, <-chan string, error) {
	args := append([]string{"serve", "--data", n.Data, "--listen", "127.0.0.1:0"}, n.opts.Args...)
	cmd := exec.Command(n.binary, args...)
	cmd.Env = environment(n.opts.Env)
	cmd.SysProcAttr = withParent()
	greeting := make(chan string, 1)
	cmd.Stdout = &greeter{to: &n.out, url: greeting}
	cmd.Stderr = &n.out
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	l := &life{cmd: cmd, exited: make(chan struct{})}
	go func() { // ends with the process, which end waits for
		l.err = cmd.Wait()
		close(l.exited)
	}()
	n.mu.Lock()
	n.life = l
	n.mu.Unlock()
	return l, greeting, nil
}

// environment is what a process of a test gets: nothing that configures it
// unless the test says so.
func environment(more []string) []string {
	var env []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "FOOTFALL_") {
			env = append(env, pair)
		}
	}
	return append(env, more...)
}

// Kill ends the process at once, as kill -9 does, and waits until it is gone.
func (n *Node) Kill() {
	n.t.Helper()
	if !n.end(syscall.SIGKILL) {
		n.t.Fatal("the node to be killed is not running")
	}
}

// Stop asks the process to end, waits for it and fails the test unless it ends
// with code 0.
func (n *Node) Stop() {
	n.t.Helper()
	if code := n.Terminate(nil); code != 0 {
		n.t.Fatalf("the node ended with code %d:\n%s", code, n.out.tail(8<<10))
	}
}

// Terminate asks the process to end and gives its exit code. When impatient
// fires first, the process is killed in the middle of its end, and the code is
// -1.
func (n *Node) Terminate(impatient <-chan time.Time) int {
	n.t.Helper()
	n.mu.Lock()
	l := n.life
	n.mu.Unlock()
	if l == nil {
		n.t.Fatal("the node to be stopped is not running")
	}
	if err := l.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		n.t.Fatalf("stop the node: %v", err)
	}
	deadline := time.NewTimer(stopMax)
	defer deadline.Stop()
	select {
	case <-l.exited:
	case <-impatient:
	case <-deadline.C:
		n.end(syscall.SIGQUIT)
		n.t.Fatalf("the node does not end after %v:\n%s", stopMax, n.out.tail(32<<10))
	}
	n.end(syscall.SIGKILL)
	return l.cmd.ProcessState.ExitCode()
}

// end sends a deadly signal and waits; false when nothing was running.
func (n *Node) end(signal syscall.Signal) bool {
	n.mu.Lock()
	l := n.life
	n.mu.Unlock()
	if l == nil {
		return false
	}
	_ = l.cmd.Process.Signal(signal) // it may have ended by itself
	<-l.exited
	n.mu.Lock()
	defer n.mu.Unlock()
	n.life = nil
	if n.url != "" {
		n.url, n.up = "", make(chan struct{})
	}
	return true
}

// Wait gives the URL of the node as soon as it serves, or ctx's error.
func (n *Node) Wait(ctx context.Context) (url string, err error) {
	for {
		n.mu.Lock()
		url, up := n.url, n.up
		n.mu.Unlock()
		if url != "" {
			return url, nil
		}
		select {
		case <-up:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// URL is where the node serves now; the test fails when it does not.
func (n *Node) URL() string {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.url == "" {
		n.t.Fatal("the node is not running")
	}
	return n.url
}

// PID is the running process's number.
func (n *Node) PID() int {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.life == nil {
		n.t.Fatal("the node is not running")
	}
	return n.life.cmd.Process.Pid
}

// Printed is everything that all lives wrote to standard output and standard
// error so far.
func (n *Node) Printed() []byte { return n.out.all() }

// Token is the operator's token of the data directory.
func (n *Node) Token() (string, error) {
	text, err := os.ReadFile(filepath.Join(n.Data, "token"))
	if err != nil {
		return "", fmt.Errorf("operator token: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
