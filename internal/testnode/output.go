package testnode

import (
	"bytes"
	"strings"
	"sync"
)

// output collects what processes print. Writes may be concurrent.
type output struct {
	mu   sync.Mutex
	text []byte
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	return len(p), nil
}

func (o *output) all() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.text)
}

func (o *output) tail(bytesMax int) string {
	text := o.all()
	return string(text[max(0, len(text)-bytesMax):])
}

// greeter passes a process's output on and looks for the line that tells where
// it serves.
type greeter struct {
	to   *output
	url  chan<- string // takes one without waiting
	line []byte
	done bool
}

// greeting begins the line.
const greeting = "Footfall serves on "

func (g *greeter) Write(p []byte) (int, error) {
	if !g.done {
		g.line = append(g.line, p...)
		for !g.done {
			line, rest, whole := bytes.Cut(g.line, []byte("\n"))
			if !whole {
				break
			}
			g.line = rest
			if url, ok := strings.CutPrefix(string(line), greeting); ok {
				g.done = true
				g.url <- strings.TrimSpace(url)
			}
		}
	}
	return g.to.Write(p)
}
