package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"

	"footfall/cmd/internal/client"
	"footfall/cmd/internal/importer"
)

type importCommand struct {
	Files         []string      `arg:"" name:"file" help:"Logs, plain or compressed by gzip or zstd; - is standard input."`
	Site          string        `required:"" placeholder:"DOMAIN" help:"Site that the views belong to."`
	Format        string        `enum:"combined,common,ndjson" default:"combined" placeholder:"FORMAT" help:"${enum} (default combined)."`
	TimezoneOfLog string        `name:"timezone-of-log" placeholder:"ZONE" help:"IANA time zone of dates that tell no offset; without it such lines are rejected."`
	AllPaths      bool          `help:"Count static files as pages too."`
	KeepBots      bool          `help:"Count views of bots too."`
	Rejected      string        `placeholder:"PATH" help:"File for rejected lines (default: the first file's name and .rejected)."`
	Quiet         bool          `help:"No progress bar."`
	Patience      time.Duration `default:"5m" placeholder:"TIME" help:"How long to try again while the node does not answer (default 5m)."`
	remote
}

// Help tells what is counted.
func (importCommand) Help() string {
	return "A line is a page view when its method is GET, its status is 200 to 299 or 304, and its path is no static file. " +
		"Importing the same lines again changes nothing, so an import that was interrupted is simply started again."
}

// Run imports and prints what became of the lines, also when it ends early.
func (c importCommand) Run(ctx context.Context, w *world) error {
	var zone *time.Location
	if c.TimezoneOfLog != "" {
		var err error
		if zone, err = time.LoadLocation(c.TimezoneOfLog); err != nil || c.TimezoneOfLog == "Local" {
			return withCode(exitUsage, fmt.Errorf("--timezone-of-log: %q is not an IANA time zone", c.TimezoneOfLog))
		}
	}
	node, err := c.open(w)
	if err != nil {
		return err
	}
	defer node.Close()
	if err := c.checkSite(ctx, node, w); err != nil {
		return err
	}
	progress := newProgress(w, sizeOf(c.Files), w.stderrIsTerminal && !c.Quiet, 100*time.Millisecond)
	result, err := importer.Run(ctx, c.Files, importer.Options{
		Site: c.Site, Format: importer.Format(c.Format), Zone: zone, AllPaths: c.AllPaths, KeepBots: c.KeepBots,
		Stdin: w.stdin, Rejected: c.Rejected, Patience: c.Patience,
		Node: node, Progress: progress, Now: w.now, Wait: wait, Jitter: rand.Float64,
	})
	progress.end()
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted; the same command goes on where this one ended")
	}
	var printErr error
	if c.JSON {
		printErr = printJSON(w.stdout, nil, result)
	} else {
		printErr = printResult(w.stdout, c.Site, result)
	}
	return errors.Join(err, printErr)
}

// checkSite tells a wrong site or credential before a long file is read. What
// the caller may not ask is left to the first batch.
func (c importCommand) checkSite(ctx context.Context, node *client.Client, w *world) error {
	_, err := node.Call(ctx, http.MethodGet, sitePath(c.Site), nil)
	var unreachable *client.Unreachable
	operator := c.Key == "" && w.getenv("FOOTFALL_KEY") == ""
	switch {
	case errors.As(err, &unreachable), ctx.Err() != nil:
		return err
	case client.StatusOf(err) == http.StatusUnauthorized:
		return err
	case client.StatusOf(err) == http.StatusNotFound && operator:
		return fmt.Errorf("site: the node knows no site %s (footfall site add %s --timezone ZONE makes it)", c.Site, c.Site)
	}
	return nil
}

// wait returns after d, or earlier with ctx's error.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sizeOf adds the sizes of files; -1 when one of them has none.
func sizeOf(files []string) int64 {
	total := int64(0)
	for _, path := range files {
		info, err := os.Stat(path)
		if path == "-" || err != nil || !info.Mode().IsRegular() {
			return -1
		}
		total += info.Size()
	}
	return total
}

// printResult writes what became of the lines, one kind a line.
func printResult(w io.Writer, site string, r importer.Result) error {
	type row struct {
		n    int64
		text string
	}
	rows := []row{{r.Lines, "lines read"}, {r.Views, "page views counted for " + site}}
	if r.Events > 0 {
		rows = append(rows, row{r.Events, "other events counted"})
	}
	if r.Duplicates > 0 {
		text := "counted before"
		if r.Resent > 0 {
			text += fmt.Sprintf(" (%s of them perhaps by this import, before an answer was lost)", grouped(r.Resent))
		}
		rows = append(rows, row{r.Duplicates, text})
	}
	words := map[string]string{
		"method": "not a GET", "status": "status other than 200 to 299 and 304", "asset": "static file",
		"bot": "bot", "spam_referrer": "spam in the referrer", "blank": "blank line", "too_old": "time out of range",
	}
	reasons := make([]string, 0, len(r.Dropped))
	for reason := range r.Dropped {
		reasons = append(reasons, reason)
	}
	sort.Strings(reasons)
	for _, reason := range reasons {
		text := words[reason]
		if text == "" {
			text = reason
		}
		rows = append(rows, row{r.Dropped[reason], "left out: " + text})
	}
	if r.Rejected > 0 {
		rows = append(rows, row{r.Rejected, "rejected, listed in " + r.RejectedFile})
	}
	for _, x := range rows {
		if _, err := fmt.Fprintf(w, "%14s  %s\n", grouped(x.n), x.text); err != nil {
			return err
		}
	}
	return nil
}

// grouped writes a number with a comma after each thousand.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var out strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out.WriteByte(',')
		}
		out.WriteRune(d)
	}
	return out.String()
}
