package main

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

// process is a server under measurement.
type process struct {
	cmd   *exec.Cmd
	addr  string
	dir   string
	token string
	own   bool // dir is ours to remove
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func output(name string, args ...string) (string, error) {
	b, err := exec.Command(name, args...).Output()
	return string(b), err
}

func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

func startBare() (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(self, "-bare", addr), addr: addr}
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	return p, p.until("/")
}

// startNode starts a node on dir, or on a directory of its own.
func startNode(binary, dir string) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	p := &process{addr: addr, dir: dir}
	if dir == "" {
		if p.dir, err = os.MkdirTemp("", "footfall-bench-"); err != nil {
			return nil, err
		}
		p.own = true
	}
	p.cmd = exec.Command(binary, "serve", "--data", p.dir, "--listen", addr, "--log-level", "warn", "--rate-limit-address", "0")
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if err := p.until("/readyz"); err != nil {
		return nil, err
	}
	token, err := os.ReadFile(filepath.Join(p.dir, "token"))
	if err != nil {
		return nil, err
	}
	p.token = strings.TrimSpace(string(token))
	return p, nil
}

// until waits for the server to answer path with 2xx.
func (p *process) until(path string) error {
	end := time.Now().Add(60 * time.Second)
	for time.Now().Before(end) {
		res, err := http.Get("http://" + p.addr + path)
		if err == nil {
			res.Body.Close()
			if res.StatusCode < 300 {
				return nil
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("%s does not answer on %s", p.cmd.Path, p.addr)
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait()
	if p.own {
		os.RemoveAll(p.dir)
	}
}

func (p *process) post(client *http.Client, path string, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest("POST", "http://"+p.addr+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
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

// each does n things, 64 at a time.
func each(n int, do func(client *http.Client, i int) error) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range min(64, n) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(client, i); err != nil {
					failed.Store(&err)
				}
			}
		}()
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (p *process) addSites(n int, domain func(int) string) error {
	return each(n, func(c *http.Client, i int) error {
		return p.post(c, "/v1/sites", map[string]string{"domain": domain(i), "timezone": "UTC"})
	})
}

func (p *process) visitEach(n int, domain func(int) string) error {
	return each(n, func(c *http.Client, i int) error {
		return p.post(c, "/api/event", map[string]string{"n": "pageview", "d": domain(i), "u": "https://" + domain(i) + "/"})
	})
}

// metric reads one figure of /metrics.
func (p *process) metric(name string) (float64, error) {
	res, err := http.Get("http://" + p.addr + "/metrics")
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

// settle waits until the size of the data directory stays the same for two
// seconds, a minute at most.
func (p *process) settle() {
	last, same := int64(-1), 0
	for i := 0; i < 120 && same < 4; i++ {
		if size := dirSize(p.dir); size == last {
			same++
		} else {
			last, same = size, 0
		}
		time.Sleep(500 * time.Millisecond)
	}
}

func dirSize(dir string) (n int64) {
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
