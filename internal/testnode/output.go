package testnode

import (
	"bytes"
	"strings"

	"footfall/internal/testprocess"
)

// greeter passes a process's output on and looks for the line that tells where
// it serves.
type greeter struct {
	to   *testprocess.Output
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
