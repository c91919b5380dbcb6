// Command footfall is the whole of Footfall: the node, and the commands that
// speak to one. This package only joins parts and words their results; it
// decides nothing about numbers. Start at run.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // sites have time zones also on machines without a zone database

	"github.com/alecthomas/kong"

	"footfall/cmd/internal/config"
)

// The exit codes of the program. Scripts rely on them.
const (
	exitOK       = 0
	exitError    = 1
	exitUsage    = 2  // the command line is wrong
	exitConfig   = 3  // the environment or the configuration file is wrong
	exitDiskFull = 10 // not enough space to start
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], &world{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		stdinIsTerminal: isTerminal(os.Stdin), stderrIsTerminal: isTerminal(os.Stderr),
		environ: os.Environ(), random: rand.Reader, now: time.Now,
	})
	stop()
	os.Exit(code)
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// world is what a command may touch of the process it runs in.
type world struct {
	stdin                             io.Reader
	stdout, stderr                    io.Writer
	stdinIsTerminal, stderrIsTerminal bool
	environ                           []string
	random                            io.Reader
	now                               func() time.Time
}

// getenv gives an environment variable, "" when it is not set.
func (w *world) getenv(name string) string {
	for _, pair := range w.environ {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

// commands is the command line; its tags are read by kong.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Run a node."`
	Site    siteCommand    `cmd:"" help:"Manage sites."`
	Cluster clusterCommand `cmd:"" help:"Look after a cluster of nodes."`
	Key     keyCommand     `cmd:"" help:"Manage API keys."`
	User    userCommand    `cmd:"" help:"Manage users."`
	Import  importCommand  `cmd:"" help:"Count the page views of access logs, or send events from files."`
	Doctor  doctorCommand  `cmd:"" help:"Check what a node holds."`
	Bench   benchCommand   `cmd:"" help:"Measure servers under load."`
	Explain explainCommand `cmd:"" help:"Print as JSON how a view would be counted."`
	Plan    planCommand    `cmd:"" help:"Tell how many nodes of which size some traffic needs."`
	Version versionCommand `cmd:"" help:"Print the version."`
	Help    helpCommand    `cmd:"" help:"Print help, for one command or all."`

	ShowVersion versionFlag `name:"version" help:"Print the version."`
}

// coded is an error with its exit code.
type coded struct {
	code int
	err  error
}

func (c *coded) Error() string { return c.err.Error() }

func (c *coded) Unwrap() error { return c.err }

// withCode makes the process end with code because of err.
func withCode(code int, err error) error { return &coded{code, err} }

// codeOf gives the exit code for a command's error.
func codeOf(err error) int {
	var c *coded
	var wrong *config.Error
	var parse *kong.ParseError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &c):
		return c.code
	case errors.As(err, &wrong) && wrong.Source == config.FromFlag:
		return exitUsage
	case errors.As(err, &wrong):
		return exitConfig
	case errors.As(err, &parse):
		return exitUsage
	}
	return exitError
}

// run executes a command line and gives the exit code.
func run(ctx context.Context, args []string, w *world) int {
	err := execute(ctx, args, w)
	if err != nil {
		fmt.Fprintf(w.stderr, "footfall: %v\n", err)
		if codeOf(err) == exitUsage {
			fmt.Fprintln(w.stderr, "`footfall help` lists the commands, `footfall help COMMAND` their flags.")
		}
	}
	return codeOf(err)
}

func execute(ctx context.Context, args []string, w *world) error {
	var c commands
	done := false // help or version was printed
	parser, err := kong.New(&c,
		kong.Name("footfall"),
		kong.Description("Web analytics for very many sites."),
		kong.Writers(w.stdout, w.stderr),
		kong.Exit(func(int) { done = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.ValueFormatter(describe),
		kong.NamedMapper("switch", switchMapper{}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(w),
	)
	if err != nil {
		return fmt.Errorf("build the command line: %w", err)
	}
	if len(args) > 0 && args[0] == "help" && !strings.HasPrefix(args[len(args)-1], "-") {
		args = append(args[1:len(args):len(args)], "--help")
	}
	parsed, err := parser.Parse(args)
	if done {
		return nil
	}
	if err != nil {
		return err
	}
	return parsed.Run()
}

// helpCommand lists help; execute turns it into the flag --help.
type helpCommand struct {
	Command []string `arg:"" optional:"" help:"Command to explain."`
}

func (helpCommand) Run() error { return nil }
