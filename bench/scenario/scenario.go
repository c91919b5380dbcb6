// Package scenario is the description of a load: who visits what, how often,
// and who asks meanwhile. It reads and checks the YAML files of
// docs/reference/scenarios.md and turns rates into a schedule. It must never
// send anything, and a field that it does not know is an error, because a
// misspelt one would measure something else. Start at Parse.
package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// The modes of a load.
const (
	Steady = "steady" // one rate
	Ramp   = "ramp"   // from one rate to another
	Step   = "step"   // rates in steps
	Soak   = "soak"   // one rate for long; memory and goroutines are compared over time
)

// Scenario is a load. Parse gives defaults to what a file leaves out.
type Scenario struct {
	Name        string `yaml:"name"`
	Description string `yaml:"description"`
	Seed        uint64 `yaml:"seed"` // 1

	Mode     string        `yaml:"mode"`     // steady
	Duration time.Duration `yaml:"duration"` // of steady, ramp and soak
	Rate     float64       `yaml:"rate"`     // beacon requests per second, of steady and soak
	Ramp     RampRates     `yaml:"ramp"`
	Step     StepRates     `yaml:"step"`
	Arrivals string        `yaml:"arrivals"` // poisson or even

	Connections int           `yaml:"connections"` // most that carry beacons at a time; 64
	Timeout     time.Duration `yaml:"timeout"`     // of one try; 20s
	Tries       int           `yaml:"tries"`       // of one request, each at another target; 3
	Dialect     string        `yaml:"dialect"`     // plausible
	Array       int           `yaml:"array"`       // events in one request, dialect native only; 1

	Sites     Sites    `yaml:"sites"`
	Pages     Pages    `yaml:"pages"`
	Referrers Shares   `yaml:"referrers"`
	Agents    int      `yaml:"agents"`    // different user agents; 200
	Addresses int      `yaml:"addresses"` // visitors that there are; 50,000
	Visits    Visits   `yaml:"visits"`
	Events    Events   `yaml:"events"`
	Bots      float64  `yaml:"bots"` // share of visits that are made by bots
	Flood     *Flood   `yaml:"flood"`
	Curve     *Curve   `yaml:"curve"`
	Queries   Queries  `yaml:"queries"`
	Check     Checking `yaml:"check"`
}

// RampRates are the rates of mode ramp.
type RampRates struct {
	From float64 `yaml:"from"`
	To   float64 `yaml:"to"`
}

// StepRates are the rates of mode step: From, From + By … up to To.
type StepRates struct {
	From  float64       `yaml:"from"`
	To    float64       `yaml:"to"`
	By    float64       `yaml:"by"`
	Every time.Duration `yaml:"every"`
}

// Sites are the sites that are visited.
type Sites struct {
	Count  int      `yaml:"count"`  // 10
	Zipf   float64  `yaml:"zipf"`   // exponent of their popularity; 0: all alike
	Domain string   `yaml:"domain"` // with {n} for the number; site-{n}.bench
	IDs    []string `yaml:"ids"`    // what another product calls them, in order; by default its number from 1
}

// Pages are the pages of each site.
type Pages struct {
	Count int     `yaml:"count"` // 1,000
	Zipf  float64 `yaml:"zipf"`  // 1.1
}

// Shares are where visits come from.
type Shares struct {
	Share float64  `yaml:"share"` // of visits that have a referrer; 0.5
	List  []string `yaml:"list"`  // URLs, drawn alike
}

// Visits say how a visitor walks.
type Visits struct {
	Bounce float64       `yaml:"bounce"` // share of visits with one page; 0.45
	Pages  float64       `yaml:"pages"`  // mean pages of the others; 4
	Think  time.Duration `yaml:"think"`  // mean time on a page, exponential; 5s
}

// Events are what is sent besides page views, as shares of the views.
type Events struct {
	Custom     float64  `yaml:"custom"`     // 0.05
	Engagement float64  `yaml:"engagement"` // 0
	Names      []string `yaml:"names"`      // of custom events
}

// Flood is much traffic on one site for a while, on top of the rest.
type Flood struct {
	Site int           `yaml:"site"`
	From time.Duration `yaml:"from"`
	To   time.Duration `yaml:"to"`
	Rate float64       `yaml:"rate"`
}

// Curve is the course of a day, compressed.
type Curve struct {
	Day   time.Duration `yaml:"day"`   // how long a day takes
	Hours []float64     `yaml:"hours"` // 24 factors to the rate, brought to a mean of 1; a usual day if left out
}

// Queries are who asks while views come in.
type Queries struct {
	Dashboard   float64 `yaml:"dashboard"`   // panels per second
	API         float64 `yaml:"api"`         // questions to the stats API per second
	Viewers     int     `yaml:"viewers"`     // who stay connected to a live page
	Connections int     `yaml:"connections"` // most that questions use, each kind; 8
}

// Checking says how acknowledged views are compared with counted ones.
type Checking struct {
	Off   bool          `yaml:"off"`
	Pages string        `yaml:"pages"` // auto, always or never
	Wait  time.Duration `yaml:"wait"`  // for the figures to come to rest; 30s
}

// usualDay is a day of a shop: little at night, most in the evening.
var usualDay = []float64{.35, .22, .15, .12, .14, .22, .4, .65, .85, 1, 1.1, 1.2, 1.3, 1.25, 1.2, 1.2, 1.25, 1.35, 1.55, 1.8, 2, 1.8, 1.3, .8}

// Defaults is what a file need not say.
func Defaults() Scenario {
	return Scenario{
		Name: "unnamed", Seed: 1, Mode: Steady, Arrivals: "poisson", Connections: 64, Timeout: 20 * time.Second, Tries: 3, Dialect: "plausible", Array: 1,
		Sites: Sites{Count: 10, Zipf: 1, Domain: "site-{n}.bench"}, Pages: Pages{Count: 1000, Zipf: 1.1},
		Referrers: Shares{Share: .5, List: []string{"https://www.google.com/", "https://www.google.de/", "https://duckduckgo.com/", "https://t.co/abc",
			"https://www.facebook.com/", "https://news.ycombinator.com/item?id=1", "https://chatgpt.com/", "https://blog.example.org/a/b"}},
		Agents: 200, Addresses: 50_000, Visits: Visits{Bounce: .45, Pages: 4, Think: 5 * time.Second},
		Events:  Events{Custom: .05, Names: []string{"Add to cart", "Signup", "Purchase"}},
		Queries: Queries{Connections: 8}, Check: Checking{Pages: "auto", Wait: 30 * time.Second},
	}
}

// Parse reads and checks a scenario. Errors name the field.
func Parse(text []byte) (*Scenario, error) {
	s := Defaults()
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	switch err := d.Decode(&s); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("scenario: the file is empty")
	case err != nil:
		return nil, fmt.Errorf("scenario: %s", plain(err))
	}
	if err := d.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("scenario: the file holds more than one document")
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return &s, nil
}

// plain words the decoder's errors without the names of Go types.
func plain(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: unmarshal errors:\n  ")
	text = strings.TrimPrefix(text, "yaml: ")
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if before, _, ok := strings.Cut(line, " not found in type "); ok {
			line = strings.Replace(before, "field ", "unknown field ", 1)
		}
		lines[i] = line
	}
	return strings.Join(lines, "; ")
}

// Domain gives the domain of site n, from 0.
func (s *Scenario) Domain(n int) string {
	return strings.ReplaceAll(s.Sites.Domain, "{n}", fmt.Sprint(n))
}

// ID gives what another product calls site n.
func (s *Scenario) ID(n int) string {
	if n < len(s.Sites.IDs) {
		return s.Sites.IDs[n]
	}
	return fmt.Sprint(n + 1)
}
