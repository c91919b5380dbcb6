package testnode

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"footfall/internal/testprocess"
)

// commandMax bounds a command.
const commandMax = 2 * time.Minute

// Command is a run of the program.
type Command struct {
	Dev   bool
	Args  []string
	Env   []string // further environment, "NAME=value"
	Stdin string
	Dir   string // working directory; default the test's
}

// Outcome is what became of a run.
type Outcome struct {
	Code           int
	Stdout, Stderr string
}

// Run runs the program to its end.
func Run(t testing.TB, c Command) Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandMax)
	defer cancel()
	cmd := exec.CommandContext(ctx, Binary(t, c.Dev), c.Args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(c.Stdin), &stdout, &stderr
	cmd.Env, cmd.Dir, cmd.SysProcAttr = testprocess.Environment([]string{"FOOTFALL_"}, c.Env...), c.Dir, testprocess.WithParent()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("footfall %s: %v\n%s", strings.Join(c.Args, " "), errors.Join(err, ctx.Err()), stderr.String())
	}
	return Outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// Footfall runs a command of the node's binary against the node and fails the
// test unless it succeeds.
func (n *Node) Footfall(t testing.TB, args ...string) (stdout string) {
	t.Helper()
	out := Run(t, Command{Dev: n.opts.Dev, Args: append(args, "--data", n.Data)})
	if out.Code != 0 {
		t.Fatalf("footfall %s: code %d\n%s%s", strings.Join(args, " "), out.Code, out.Stdout, out.Stderr)
	}
	return out.Stdout
}
