// Command coefficients measures on this machine what `footfall plan` plans
// with, or checks the plan's model: it fits the model of CPU to some rates and
// prints what it predicts for others beside what they cost. It must never change
// a figure by hand or hide a run that went wrong. Start at main.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"footfall/bench/capacity"
)

func main() {
	log.SetFlags(0)
	binary := flag.String("binary", "bin/footfall", "the binary to measure")
	out := flag.String("out", "", "write the coefficients to this file")
	base := flag.String("base", "", "coefficients whose figures are kept where a part is left out")
	report := flag.String("report", "", "write the table of predicted and measured to this file too")
	parts := flag.String("parts", "cpu,cluster,memory,disk,network,questions", "what to measure")
	seconds := flag.Float64("seconds", 4, "length of one run")
	rounds := flag.Int("rounds", 2, "runs of each kind, interleaved")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	m := &measurement{ctx: ctx, binary: *binary, length: time.Duration(*seconds * float64(time.Second)), rounds: *rounds, note: log.Printf}
	var text strings.Builder
	m.out = io.MultiWriter(os.Stdout, &text)
	if err := m.run(*base, strings.Split(*parts, ",")); err != nil {
		log.Fatal(err)
	}
	if *out != "" {
		b, err := json.MarshalIndent(m.c, "", "  ")
		if err == nil {
			err = m.c.Check()
		}
		if err != nil {
			log.Fatal(err)
		}
		write(*out, append(b, '\n'))
	}
	if *report != "" {
		write(*report, []byte(text.String()))
	}
}

func write(name string, b []byte) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o644); err != nil {
		log.Fatal(err)
	}
}

// measurement is one run of the command.
type measurement struct {
	ctx    context.Context
	out    io.Writer
	binary string
	length time.Duration
	rounds int
	note   func(format string, args ...any)
	c      *capacity.Coefficients
}

func (m *measurement) run(base string, parts []string) error {
	m.c = &capacity.Coefficients{}
	if base != "" {
		b, err := os.ReadFile(base)
		if err != nil {
			return err
		}
		if m.c, err = capacity.Decode(b); err != nil {
			return fmt.Errorf("%s: %w", base, err)
		}
	}
	m.c.Kind, m.c.Version = capacity.Kind, capacity.Version
	m.c.Measured, m.c.Machine = time.Now().UTC().Format("2006-01-02"), machine()
	if commit, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output(); err == nil {
		m.c.Commit = strings.TrimSpace(string(commit))
	}
	known := map[string]func() error{"cpu": m.cpu, "cluster": m.cluster, "memory": m.memory, "disk": m.disk, "network": m.network, "questions": m.questions}
	for _, name := range parts {
		part := known[name]
		if part == nil {
			return fmt.Errorf("-parts: %q is none of cpu, cluster, memory, disk, network, questions", name)
		}
		if err := part(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func machine() capacity.Machine {
	x := capacity.Machine{Cores: runtime.NumCPU(), CPU: "unknown", OS: runtime.GOOS + "/" + runtime.GOARCH}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				x.CPU = strings.Trim(name, "\t :\n")
				break
			}
		}
	}
	return x
}
