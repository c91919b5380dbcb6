// Package node runs the binary under measurement as a process and speaks to it
// over HTTP only: start, stop, sites, single views, metrics, disk. It must never
// look into the process from inside. Start at Start.
package node

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Process is a server under measurement.
type Process struct {
	Addr  string // host:port
	Dir   string // its data directory
	Token string // the operator's
	cmd   *exec.Cmd
	own   bool // Dir is removed with it
}

// PID is the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// FreeAddr gives a loopback address that nobody listens on.
func FreeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// Run starts a server that will listen on addr and waits until it answers.
func Run(cmd *exec.Cmd, addr, ready string) (*Process, error) {
	p := &Process{Addr: addr, cmd: cmd}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if err := p.until(ready); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// Start runs a node on dir, or on a directory of its own if dir is empty, and
// waits until it is ready. flags are added to serve's.
func Start(binary, dir string, flags ...string) (*Process, error) {
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	own := dir == ""
	if own {
		if dir, err = os.MkdirTemp("", "footfall-bench-"); err != nil {
			return nil, err
		}
	}
	args := append([]string{"serve", "--data", dir, "--listen", addr, "--log-level", "warn", "--rate-limit-address", "0"}, flags...)
	p, err := Run(exec.Command(binary, args...), addr, "/readyz")
	if err != nil {
		return nil, err
	}
	p.Dir, p.own = dir, own
	token, err := os.ReadFile(filepath.Join(dir, "token"))
	if err != nil {
		p.Stop()
		return nil, err
	}
	p.Token = strings.TrimSpace(string(token))
	return p, nil
}

const startMax = 5 * time.Minute

// until waits for the server to answer path with 2xx.
func (p *Process) until(path string) error {
	end := time.Now().Add(startMax)
	for time.Now().Before(end) {
		res, err := http.Get("http://" + p.Addr + path)
		if err == nil {
			res.Body.Close()
			if res.StatusCode < 300 {
				return nil
			}
		}
		time.Sleep(2 * time.Millisecond) // there is no other sign of a foreign process
	}
	return fmt.Errorf("%s does not answer on %s", p.cmd.Path, p.Addr)
}

// Stop ends the server in order and waits for it.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait()
	if p.own {
		os.RemoveAll(p.Dir)
	}
}

// Kill ends the server at once and waits for it.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	if p.own {
		os.RemoveAll(p.Dir)
	}
}

func (p *Process) post(client *http.Client, path string, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest("POST", "http://"+p.Addr+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.Token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode > 299 {
		return fmt.Errorf("POST %s: %s: %s", path, res.Status, text)
	}
	return nil
}

// Each does n things, 64 at a time, until one fails.
func Each(n int, do func(client *http.Client, i int) error) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range min(64, n) {
		wg.Go(func() {
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(client, i); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// AddSites makes n sites in UTC.
func (p *Process) AddSites(n int, domain func(int) string) error {
	return Each(n, func(c *http.Client, i int) error {
		return p.post(c, "/v1/sites", map[string]string{"domain": domain(i), "timezone": "UTC"})
	})
}

// VisitEach sends one view to each of n sites.
func (p *Process) VisitEach(n int, domain func(int) string) error {
	return Each(n, func(c *http.Client, i int) error {
		return p.post(c, "/api/event", map[string]string{"n": "pageview", "d": domain(i), "u": "https://" + domain(i) + "/"})
	})
}

// Metric reads one figure of /metrics.
func (p *Process) Metric(name string) (float64, error) {
	res, err := http.Get("http://" + p.Addr + "/metrics")
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(rest), 64)
		}
	}
	return 0, fmt.Errorf("no metric %s", name)
}

// Settle waits until the size of the data directory stays the same for two
// seconds, a minute at most.
func (p *Process) Settle() {
	last, same := int64(-1), 0
	for i := 0; i < 120 && same < 4; i++ {
		if size := DirSize(p.Dir); size == last {
			same++
		} else {
			last, same = size, 0
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// DirSize is the sum of the sizes of all files below dir.
func DirSize(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}
