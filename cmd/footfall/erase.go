package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

type siteErase struct {
	Domain  string `arg:"" help:"Domain of the site."`
	Visitor string `required:"" placeholder:"NAME" help:"Name that events of the visitor were sent with."`
	Yes     bool   `help:"Do not ask."`
	remote
}

// Run erases the visitor; a person at a terminal is asked first.
func (c siteErase) Run(ctx context.Context, w *world) error {
	node, err := c.open(w)
	if err != nil {
		return err
	}
	defer node.Close()
	if w.stdinIsTerminal && !c.Yes {
		fmt.Fprintf(w.stderr, "All visits of this visitor of %s will be gone. Type the name of the visitor to go on: ", c.Domain)
		typed, err := bufio.NewReader(w.stdin).ReadString('\n')
		if err != nil && typed == "" {
			return fmt.Errorf("read the answer: %w", err)
		}
		if strings.TrimSpace(typed) != strings.TrimSpace(c.Visitor) {
			return errors.New("nothing erased")
		}
	}
	answer, err := node.Call(ctx, http.MethodPost, sitePath(c.Domain)+"/erase", map[string]string{"visitor": c.Visitor})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(w.stdout, answer, nil)
	}
	var gone struct{ Visits, Events uint64 }
	if err := understand(answer, &gone); err != nil {
		return err
	}
	if gone.Visits == 0 {
		_, err = fmt.Fprintf(w.stdout, "%s has no visits of this visitor.\n", c.Domain)
		return err
	}
	_, err = fmt.Fprintf(w.stdout, "Erased from %s: %s, %s.\n", c.Domain, count(gone.Visits, "visit"), count(gone.Events, "event"))
	return err
}

// count words a number of things.
func count(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
