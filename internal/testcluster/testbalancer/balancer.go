// Package testbalancer runs Debian's HAProxy for a test, with the very files
// that operators get in deploy/haproxy and nothing but their environment
// changed. It never edits or replaces a line of them. Start at Start.
package testbalancer

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"footfall/internal/testnode"
	"footfall/internal/testprocess"
)

const (
	startMax    = 30 * time.Second
	attemptsMax = 5 // to find free ports
)

// backends are those of both files.
var backends = []string{"beacons", "answers", "streams"}

// Options of a balancer: Nodes choose static.cfg, ConsulDNS chooses haproxy.cfg.
type Options struct {
	Nodes []string // host:port of up to eight nodes

	ConsulDNS string // host:port
	Edge      string // SRV name of the nodes; default that of the file
	Cert      string // PEM file with a certificate and its key

	Rate int // requests of one address in ten seconds; default that of the file
}

// Balancer is a running HAProxy.
type Balancer struct {
	URL   string // for visitors, without a slash at its end
	Plain string // for visitors without TLS, with ConsulDNS alone
	Stats string // metrics and liveness

	t       testing.TB
	binary  string
	file    string
	env     []string
	dir     string
	out     testprocess.Output
	process *testprocess.Process
}

// Binary gives the path of HAProxy; the test fails without it.
func Binary(t testing.TB) string {
	t.Helper()
	for _, path := range []string{"haproxy", "/usr/sbin/haproxy"} { // Debian's place is not in everybody's PATH
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	t.Fatal("HAProxy is missing: `make tools` installs it")
	return ""
}

// File is the path of a file in deploy/haproxy.
func File(t testing.TB, name string) string {
	t.Helper()
	return filepath.Join(testnode.Root(t), "deploy", "haproxy", name)
}

// Start runs a balancer and waits until it listens; which nodes it finds ready
// is another matter, see Ready. It ends with the test.
func Start(t testing.TB, o Options) *Balancer {
	t.Helper()
	binary := Binary(t)
	dir, err := os.MkdirTemp("", "balancer") // the socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	b := &Balancer{t: t, dir: dir, binary: binary}
	t.Cleanup(func() {
		if b.process != nil {
			b.process.Kill()
		}
		_ = os.RemoveAll(dir) // what is left does not matter
		if t.Failed() {
			t.Logf("HAProxy printed at last:\n%s", b.out.Tail(2<<10))
		}
	})
	for attempt := 1; ; attempt++ {
		err := b.choose(o)
		if err == nil {
			return b
		}
		if attempt == attemptsMax || !strings.Contains(b.out.Tail(8<<10), "cannot bind socket") {
			t.Fatalf("start HAProxy: %v\n%s", err, b.out.Tail(8<<10))
		}
	}
}

// Restart ends the process at once, with all of its connections, and runs it
// again on the same ports.
func (b *Balancer) Restart() {
	b.t.Helper()
	b.process.Kill()
	if err := b.launch(); err != nil {
		b.t.Fatalf("start HAProxy again: %v\n%s", err, b.out.Tail(8<<10))
	}
}

// choose takes free ports and launches.
func (b *Balancer) choose(o Options) error {
	ports := testprocess.FreePorts(b.t, 3)
	address := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	env := []string{
		"FOOTFALL_BIND=" + address(0), "FOOTFALL_BIND_STATS=" + address(1), "FOOTFALL_SOCKET=" + filepath.Join(b.dir, "admin"),
	}
	file, scheme := "static.cfg", "http"
	if o.ConsulDNS != "" {
		file, scheme = "haproxy.cfg", "https"
		env = append(env, "FOOTFALL_BIND_PLAIN="+address(2), "CONSUL_DNS="+o.ConsulDNS, "FOOTFALL_CERTS="+o.Cert)
		b.Plain = "http://" + address(2)
	}
	if o.Edge != "" {
		env = append(env, "FOOTFALL_EDGE="+o.Edge)
	}
	if o.Rate != 0 {
		env = append(env, fmt.Sprintf("FOOTFALL_RATE=%d", o.Rate))
	}
	for i, node := range o.Nodes {
		env = append(env, fmt.Sprintf("FOOTFALL_NODE_%d=%s", i+1, node))
	}
	b.file, b.env = file, env
	b.URL, b.Stats = scheme+"://"+address(0), "http://"+address(1)
	return b.launch()
}

// launch runs the process and waits until it listens.
func (b *Balancer) launch() error {
	_ = os.Remove(filepath.Join(b.dir, "admin")) // of a process before, which would look like this one's
	cmd := exec.Command(b.binary, "-db", "-f", File(b.t, b.file))
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.dir, &b.out, &b.out
	cmd.Env = testprocess.Environment([]string{"FOOTFALL_", "CONSUL_"}, b.env...)
	p, err := testprocess.Run(cmd)
	if err != nil {
		return err
	}
	b.process = p
	deadline := time.NewTimer(startMax)
	defer deadline.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case <-p.Exited():
			return fmt.Errorf("it ended at its start: %w", p.Err())
		case <-deadline.C:
			p.Kill()
			return fmt.Errorf("it does not listen after %v", startMax)
		case <-again.C:
		}
		// Its socket is there when it has bound all ports; somebody else might have
		// taken one of those meanwhile and listen there.
		if _, err := b.command("show info"); err == nil {
			return nil
		}
	}
}

// Ready tells whether the balancer has a node to send to.
func (b *Balancer) Ready() bool {
	resp, err := http.Get(b.Stats + "/alive")
	if err != nil {
		return false
	}
	_ = resp.Body.Close() // nothing of it is read
	return resp.StatusCode == http.StatusOK
}

// Sees tells whether HAProxy takes exactly n nodes for ready, in every backend:
// each has checks of its own.
func (b *Balancer) Sees(n int) bool {
	b.t.Helper()
	for _, backend := range backends {
		if b.up(backend) != n {
			return false
		}
	}
	return true
}

func (b *Balancer) up(backend string) int {
	b.t.Helper()
	rows, err := b.command("show servers state " + backend)
	if err != nil {
		b.t.Fatalf("ask HAProxy for its servers: %v", err)
	}
	up := 0
	for line := range strings.Lines(rows) {
		// The fields are those of `show servers state`, version 1: the sixth is the
		// operational state, where 1 and 2 are running, slowly at first; the seventh
		// holds bits of what was ordered, where 64 is only that DNS gave the name.
		f := strings.Fields(line)
		if len(f) < 7 || f[1] != backend || f[5] != "1" && f[5] != "2" {
			continue
		}
		if ordered, err := strconv.Atoi(f[6]); err == nil && ordered&^64 == 0 {
			up++
		}
	}
	return up
}

// Drain takes a node out: no new requests, open ones end in peace. name is
// nodeN with static.cfg.
func (b *Balancer) Drain(name string) { b.order(name, "drain") }

// Undrain takes it in again.
func (b *Balancer) Undrain(name string) { b.order(name, "ready") }

func (b *Balancer) order(name, state string) {
	b.t.Helper()
	for _, backend := range backends {
		out, err := b.command(fmt.Sprintf("set server %s/%s state %s", backend, name, state))
		if err != nil || strings.TrimSpace(out) != "" {
			b.t.Fatalf("make %s/%s %s: %v %s", backend, name, state, err, out)
		}
	}
}

// command asks HAProxy's own socket.
func (b *Balancer) command(line string) (string, error) {
	c, err := net.DialTimeout("unix", filepath.Join(b.dir, "admin"), startMax)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(startMax)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintln(c, line); err != nil {
		return "", err
	}
	var text strings.Builder
	buffer := make([]byte, 4<<10)
	for {
		n, err := c.Read(buffer)
		text.Write(buffer[:n])
		if err != nil {
			return text.String(), nil // HAProxy closes after its answer
		}
	}
}
