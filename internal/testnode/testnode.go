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

	"footfall/internal/testprocess"
)

// Bounds of what a node may take, far above what it takes on a busy machine.
const (
	startMax = 90 * time.Second
	stopMax  = 45 * time.Second
	callMax  = 60 * time.Second
)

// Options of a node. The zero value is a release binary on an empty directory.
type Options struct {
	Dev    bool     // bin/footfall-dev instead of bin/footfall
	Data   string   // data directory; default one that goes with the test
	Listen string   // address and port in all lives; default another port of loopback in each
	Args   []string // further flags of serve
	Env    []string // further environment, "NAME=value"
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
	out    testprocess.Output // of all lives

	mu   sync.Mutex
	life *life         // nil while no process runs
	url  string        // where it serves; "" while it does not
	up   chan struct{} // closed while it serves
}

// life is one process.
type life struct {
	*testprocess.Process
	greeting sync.WaitGroup // of the goroutine that waits for the URL
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
	n.client = NewClient()
	t.Cleanup(func() {
		n.end(syscall.SIGKILL)
		n.client.CloseIdleConnections()
		if t.Failed() {
			t.Logf("the node printed at last:\n%s", n.out.Tail(2<<10))
		}
	})
	return n
}

// Use has the node's later lives run another binary: it is upgraded, or goes back.
func (n *Node) Use(binary string) { n.binary = binary }

// Resume runs the node again on its data directory and waits until it is ready.
func (n *Node) Resume() {
	n.t.Helper()
	n.Begin()
	n.AwaitReady()
}

// Begin runs the node without waiting for anything, as those of a cluster must
// be that can only be ready together.
func (n *Node) Begin() {
	n.t.Helper()
	n.mu.Lock()
	running := n.life != nil
	n.mu.Unlock()
	if running {
		n.t.Fatal("the node is running already")
	}
	if err := n.launch(); err != nil {
		n.t.Fatalf("start the node: %v", err)
	}
}

// AwaitReady waits until the running node is ready and fails the test when it
// ends before or takes too long.
func (n *Node) AwaitReady() {
	n.t.Helper()
	n.mu.Lock()
	l, up := n.life, n.up
	n.mu.Unlock()
	if l == nil {
		n.t.Fatal("the node that is to be ready is not running")
	}
	deadline := time.NewTimer(startMax)
	defer deadline.Stop()
	hung := func() {
		n.t.Helper()
		n.end(syscall.SIGQUIT) // prints what its goroutines wait for
		n.t.Fatalf("the node is not ready after %v:\n%s", startMax, n.out.Tail(32<<10))
	}
	ended := func() {
		n.t.Helper()
		n.t.Fatalf("the node ended at its start: %v\n%s", l.Err(), n.out.Tail(4<<10))
	}
	select {
	case <-up:
	case <-l.Exited():
		ended()
	case <-deadline.C:
		hung()
	}
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), startMax)
		a, err := n.Do(ctx, Request{Path: "/readyz"})
		cancel()
		if err == nil && a.Status == http.StatusOK {
			return
		}
		select {
		case <-again.C:
		case <-l.Exited():
			ended()
		case <-deadline.C:
			hung()
		}
	}
}

// launch starts the process; the node has its URL as soon as the process tells.
func (n *Node) launch() error {
	listen := n.opts.Listen
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	cmd := exec.Command(n.binary, append([]string{"serve", "--data", n.Data, "--listen", listen}, n.opts.Args...)...)
	cmd.Env = testprocess.Environment([]string{"FOOTFALL_"}, n.opts.Env...)
	greeting := make(chan string, 1)
	cmd.Stdout = &greeter{to: &n.out, url: greeting}
	cmd.Stderr = &n.out
	p, err := testprocess.Run(cmd)
	if err != nil {
		return err
	}
	l := &life{Process: p}
	n.mu.Lock()
	n.life = l
	n.mu.Unlock()
	l.greeting.Go(func() { // ends with the process at the latest, and end waits for it
		select {
		case url := <-greeting:
			n.mu.Lock()
			n.url = url
			close(n.up)
			n.mu.Unlock()
		case <-p.Exited():
		}
	})
	return nil
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
		n.t.Fatalf("the node ended with code %d:\n%s", code, n.out.Tail(8<<10))
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
	if err := l.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		n.t.Fatalf("stop the node: %v", err)
	}
	deadline := time.NewTimer(stopMax)
	defer deadline.Stop()
	select {
	case <-l.Exited():
	case <-impatient:
	case <-deadline.C:
		n.end(syscall.SIGQUIT)
		n.t.Fatalf("the node does not end after %v:\n%s", stopMax, n.out.Tail(32<<10))
	}
	n.end(syscall.SIGKILL)
	return l.Code()
}

// Running tells whether the process runs; one that ended by itself does not.
func (n *Node) Running() bool {
	n.mu.Lock()
	l := n.life
	n.mu.Unlock()
	if l == nil {
		return false
	}
	select {
	case <-l.Exited():
		return false
	default:
		return true
	}
}

// AwaitEnd waits until the process ends by itself and gives its exit code.
func (n *Node) AwaitEnd() int {
	n.t.Helper()
	n.mu.Lock()
	l := n.life
	n.mu.Unlock()
	if l == nil {
		n.t.Fatal("the node that is to end is not running")
	}
	deadline := time.NewTimer(startMax)
	defer deadline.Stop()
	select {
	case <-l.Exited():
	case <-deadline.C:
		n.end(syscall.SIGQUIT) // prints what its goroutines wait for
		n.t.Fatalf("the node does not end by itself in %v:\n%s", startMax, n.out.Tail(32<<10))
	}
	n.end(syscall.SIGKILL)
	return l.Code()
}

// Pause stops the process without ending it, as SIGSTOP does: its connections
// stay open and it does nothing. Kill ends it all the same.
func (n *Node) Pause() { n.signal(syscall.SIGSTOP) }

// Continue undoes Pause.
func (n *Node) Continue() { n.signal(syscall.SIGCONT) }

func (n *Node) signal(signal syscall.Signal) {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.life == nil {
		n.t.Fatalf("the node is not running and cannot get %v", signal)
	}
	if err := n.life.Signal(signal); err != nil {
		n.t.Fatalf("send %v to the node: %v", signal, err)
	}
}

// end sends a deadly signal and waits; false when nothing was running.
func (n *Node) end(signal syscall.Signal) bool {
	n.mu.Lock()
	l := n.life
	n.mu.Unlock()
	if l == nil {
		return false
	}
	_ = l.Signal(signal) // it may have ended by itself
	<-l.Exited()
	l.greeting.Wait()
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
	return n.life.PID()
}

// Printed is everything that all lives wrote to standard output and standard
// error so far.
func (n *Node) Printed() []byte { return n.out.All() }

// Token is the operator's token of the data directory.
func (n *Node) Token() (string, error) {
	text, err := os.ReadFile(filepath.Join(n.Data, "token"))
	if err != nil {
		return "", fmt.Errorf("operator token: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
