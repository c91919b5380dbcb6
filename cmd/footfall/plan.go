package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"footfall/bench/capacity"
	"footfall/bench/results"
)

type planCommand struct {
	ViewsPerMonth  amount  `required:"" placeholder:"N" help:"Page views and other events a month, all sites together; 250M and 1.5G are understood."`
	PeakFactor     float64 `default:"5" placeholder:"F" help:"How many times the mean the busiest minutes have (default 5)."`
	Sites          amount  `required:"" placeholder:"S" help:"Sites."`
	Retention      int     `default:"24" placeholder:"M" help:"Months that views are kept (default 24)."`
	Replicas       int     `default:"3" placeholder:"R" help:"Copies of each site: 1, 3 or 5 (default 3)."`
	Regions        int     `default:"1" placeholder:"N" help:"Regions that the nodes are spread over; the loss of one is borne (default 1)."`
	CoresPerNode   int     `placeholder:"N" help:"Cores of a node (default: 2, 4 or 8, whatever needs the fewest in all)."`
	ViewsPerVisit  float64 `default:"3" placeholder:"N" help:"Views of a visit (default 3)."`
	ActiveSites    float64 `default:"0.5" placeholder:"SHARE" help:"Share of the sites that have views on a day (default 0.5)."`
	QuestionsPer1k float64 `name:"questions-per-1000-views" default:"10" placeholder:"N" help:"Questions of dashboards and the API for 1,000 views (default 10)."`

	Results     string `placeholder:"FILE" help:"Plan with what a load run measured (footfall bench load), or with coefficients measured by make coefficients."`
	ResultSites int    `placeholder:"N" help:"Sites that had views in that load run (default 10)."`

	JSON     bool   `name:"json" help:"Print JSON."`
	Markdown bool   `help:"Print Markdown."`
	HTML     string `name:"html" placeholder:"FILE" help:"Also write a page with plots to this file."`
}

// Help tells what the figures are.
func (planCommand) Help() string {
	return "Tells how many nodes of which size the traffic needs, with room for the loss of a node and of a region. " +
		"The coefficients it counts with are printed with the machine and the day they were measured on; another machine has others, so measure there: " +
		"`footfall bench load --local` writes a file that --results takes."
}

// Run plans and prints.
func (c planCommand) Run(w *world) error {
	if c.JSON && c.Markdown {
		return withCode(exitUsage, errors.New("--markdown: not together with --json"))
	}
	demand := capacity.Demand{
		ViewsPerMonth: float64(c.ViewsPerMonth), PeakFactor: c.PeakFactor, Sites: int(c.Sites), Retention: c.Retention, Replicas: c.Replicas,
		Regions: c.Regions, CoresPerNode: c.CoresPerNode, ViewsPerVisit: c.ViewsPerVisit, ActiveSites: c.ActiveSites, QuestionsPer1k: c.QuestionsPer1k,
	}
	if err := demand.Check(); err != nil {
		return withCode(exitUsage, err)
	}
	measured, err := c.coefficients()
	if err != nil {
		return err
	}
	plan, err := capacity.Plan(demand, measured)
	if err != nil {
		return err
	}
	if c.HTML != "" {
		var page bytes.Buffer
		if err := plan.HTML(&page); err != nil {
			return fmt.Errorf("--html: %w", err)
		}
		if err := os.WriteFile(c.HTML, page.Bytes(), 0o644); err != nil {
			return fmt.Errorf("--html: %w", err)
		}
	}
	switch {
	case c.JSON:
		return printJSON(w.stdout, nil, plan)
	case c.Markdown:
		return plan.Markdown(w.stdout)
	}
	return plan.Text(w.stdout)
}

// coefficients gives those of the file, or the shipped ones.
func (c planCommand) coefficients() (*capacity.Coefficients, error) {
	shipped, err := capacity.Shipped()
	if err != nil || c.Results == "" {
		return shipped, err
	}
	b, err := os.ReadFile(c.Results)
	if err != nil {
		return nil, withCode(exitUsage, fmt.Errorf("--results: %w", err))
	}
	var head struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, withCode(exitUsage, fmt.Errorf("--results: %s is not JSON: %w", c.Results, err))
	}
	if head.Kind == capacity.Kind {
		x, err := capacity.Decode(b)
		if err != nil {
			return nil, withCode(exitUsage, fmt.Errorf("--results: %s: %w", c.Results, err))
		}
		return x, nil
	}
	run, err := results.Read(bytes.NewReader(b))
	if err != nil {
		return nil, withCode(exitUsage, fmt.Errorf("--results: %s: %w", c.Results, err))
	}
	sites := c.ResultSites
	if sites <= 0 {
		sites = 10
		if run.Conservation != nil && run.Conservation.Sites > 0 {
			sites = run.Conservation.Sites
		}
	}
	x, err := capacity.FromRun(shipped, run, sites)
	if err != nil {
		return nil, withCode(exitUsage, fmt.Errorf("--results: %s: %w", c.Results, err))
	}
	return x, nil
}

// amount is a number as people write large ones.
type amount float64

// UnmarshalText reads 250000, 250,000, 2.5e5, 250k, 1.5M and 2G.
func (a *amount) UnmarshalText(text []byte) error {
	s, factor := strings.NewReplacer(",", "", "_", "").Replace(string(text)), 1.0
	if s != "" {
		switch s[len(s)-1] {
		case 'k', 'K':
			factor = 1e3
		case 'm', 'M':
			factor = 1e6
		case 'g', 'G', 'b', 'B':
			factor = 1e9
		}
	}
	if factor > 1 {
		s = s[:len(s)-1]
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return fmt.Errorf("%q is not a number like 250000, 250M or 1.5G", text)
	}
	*a = amount(x * factor)
	return nil
}
