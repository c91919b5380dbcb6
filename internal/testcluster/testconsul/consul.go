// Package testconsul runs a real Consul server for a test: one process on
// loopback with ports from the kernel, stopped, killed and started again as the
// test wants. It is no stand-in: where the binary is missing it is built, which
// takes minutes the first time. It must never touch a Consul that it did not
// start. Start at Start.
package testconsul

import (
	"bytes"
	"context"
	"encoding/json"
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

	"footfall/internal/testnode"
	"footfall/internal/testprocess"
)

const (
	startMax    = 60 * time.Second
	attemptsMax = 5 // to find free ports
)

// Options of a server. The zero value trusts everybody and keeps nothing.
type Options struct {
	// Keep makes what Consul knows outlive its process. Without it a new process
	// knows nothing, as an agent that lost its disk.
	Keep bool
	// Token is the token of an operator who may do everything; with it nobody
	// else may do anything.
	Token string
	// CA, Cert and Key are PEM files; with them the API speaks TLS alone and asks
	// for a certificate of that CA.
	CA, Cert, Key string
}

// Server is one Consul through all its lives; the ports stay the same.
type Server struct {
	Address string // host:port of the API
	DNS     string // host:port of the DNS, UDP and TCP

	t      testing.TB
	opts   Options
	binary string
	dir    string
	ports  map[string]int
	client *http.Client
	out    testprocess.Output

	mu   sync.Mutex
	life *testprocess.Process // nil while no process runs
}

// Binary gives the path of Consul, built when it is missing.
func Binary(t testing.TB) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", filepath.Join(testnode.Root(t), "internal", "tools", "consul", "build.sh"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	path, err := cmd.Output()
	if err != nil {
		t.Fatalf("build Consul: %v\n%s", err, stderr.Bytes())
	}
	return strings.TrimSpace(string(path))
}

// Start runs a server and waits until it has a leader. It ends with the test.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{t: t, opts: o, binary: Binary(t), dir: t.TempDir()}
	client, err := s.newClient()
	if err != nil {
		t.Fatalf("client of Consul: %v", err)
	}
	s.client = client
	t.Cleanup(func() {
		s.end()
		s.client.CloseIdleConnections()
		if t.Failed() {
			t.Logf("Consul printed at last:\n%s", s.out.Tail(2<<10))
		}
	})
	for attempt := 1; ; attempt++ {
		// A port may be taken between its choice and its use.
		s.choosePorts()
		err := s.launch()
		if err == nil {
			return s
		}
		s.end()
		if attempt == attemptsMax || !strings.Contains(s.out.Tail(8<<10), "address already in use") {
			t.Fatalf("start Consul: %v\n%s", err, s.out.Tail(8<<10))
		}
	}
}

func (s *Server) choosePorts() {
	names := []string{"api", "dns", "server", "serf_lan", "serf_wan"}
	ports := testprocess.FreePorts(s.t, len(names))
	s.ports = map[string]int{}
	for i, name := range names {
		s.ports[name] = ports[i]
	}
	s.Address = fmt.Sprintf("127.0.0.1:%d", s.ports["api"])
	s.DNS = fmt.Sprintf("127.0.0.1:%d", s.ports["dns"])
}

// config is the agent's configuration file.
func (s *Server) config() map[string]any {
	ports := map[string]int{
		"dns": s.ports["dns"], "server": s.ports["server"], "serf_lan": s.ports["serf_lan"], "serf_wan": s.ports["serf_wan"],
		"grpc": -1, "grpc_tls": -1, "http": s.ports["api"],
	}
	c := map[string]any{
		"server": true, "bootstrap_expect": 1, "bind_addr": "127.0.0.1", "client_addr": "127.0.0.1", "node_name": "consul",
		"data_dir": filepath.Join(s.dir, "data"), "ports": ports, "disable_update_check": true, "log_level": "warn",
		"performance": map[string]any{"raft_multiplier": 1}, "dns_config": map[string]any{"allow_stale": true, "max_stale": "87600h"},
	}
	if s.opts.Token != "" {
		c["acl"] = map[string]any{
			"enabled": true, "default_policy": "deny", "down_policy": "extend-cache",
			"tokens": map[string]any{"initial_management": s.opts.Token, "agent": s.opts.Token},
		}
	}
	if s.opts.CA != "" {
		ports["http"], ports["https"] = -1, s.ports["api"]
		c["tls"] = map[string]any{"defaults": map[string]any{
			"ca_file": s.opts.CA, "cert_file": s.opts.Cert, "key_file": s.opts.Key, "verify_incoming": true, "verify_outgoing": true,
		}}
	}
	return c
}

// launch starts the process and waits until it serves.
func (s *Server) launch() error {
	text, err := json.Marshal(s.config())
	if err != nil {
		return fmt.Errorf("encode the configuration: %w", err)
	}
	file := filepath.Join(s.dir, "consul.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	if !s.opts.Keep {
		if err := os.RemoveAll(filepath.Join(s.dir, "data")); err != nil {
			return err
		}
	}
	cmd := exec.Command(s.binary, "agent", "-config-file", file)
	// Nothing but the file configures it.
	cmd.Env = testprocess.Environment([]string{"CONSUL_"})
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, &s.out, &s.out
	life, err := testprocess.Run(cmd)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.life = life
	s.mu.Unlock()
	return s.awaitLeader(life.Exited())
}

func (s *Server) awaitLeader(exited <-chan struct{}) error {
	deadline := time.NewTimer(startMax)
	defer deadline.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case <-exited:
			return fmt.Errorf("it ended at its start")
		case <-deadline.C:
			return fmt.Errorf("it has no leader after %v", startMax)
		case <-again.C:
		}
		// The agent can be written to as soon as its own node is in the catalogue.
		status, body, err := s.Get("/v1/health/node/consul")
		if err == nil && status == http.StatusOK && strings.Contains(string(body), "serfHealth") {
			return nil
		}
	}
}

// Get asks the API with the operator's token.
func (s *Server) Get(path string) (status int, body []byte, err error) {
	return s.ask(http.MethodGet, path, nil)
}

// Put writes to the API with the operator's token.
func (s *Server) Put(path string, body []byte) (status int, answer []byte, err error) {
	return s.ask(http.MethodPut, path, body)
}

func (s *Server) ask(method, path string, body []byte) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	scheme := "http"
	if s.opts.CA != "" {
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, method, scheme+"://"+s.Address+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if s.opts.Token != "" {
		req.Header.Set("X-Consul-Token", s.opts.Token)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(resp.Body)
	return resp.StatusCode, b.Bytes(), err
}

// Kill ends the process at once and waits until it is gone.
func (s *Server) Kill() {
	s.t.Helper()
	if !s.end() {
		s.t.Fatal("the Consul to be killed is not running")
	}
}

// Resume runs Consul again, on the same ports, and waits until it serves.
func (s *Server) Resume() {
	s.t.Helper()
	if err := s.launch(); err != nil {
		s.t.Fatalf("start Consul again: %v\n%s", err, s.out.Tail(8<<10))
	}
}

// Pause stops the process without ending it: connections stay open and nobody
// answers.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Continue undoes Pause.
func (s *Server) Continue() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal syscall.Signal) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life == nil {
		s.t.Fatalf("Consul is not running and cannot get %v", signal)
	}
	if err := s.life.Signal(signal); err != nil {
		s.t.Fatalf("send %v to Consul: %v", signal, err)
	}
}

// end kills the process; false when none was running.
func (s *Server) end() bool {
	s.mu.Lock()
	life := s.life
	s.life = nil
	s.mu.Unlock()
	if life == nil {
		return false
	}
	life.Kill()
	return true
}
