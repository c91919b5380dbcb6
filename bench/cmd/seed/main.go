// Command seed prints events of a made-up shop over some months, as NDJSON for
// `footfall import --format ndjson`: for the demo and for pictures. The same
// seed gives the same events. Start at main.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"time"

	"footfall/bench/traffic"
)

type event struct {
	ID        string  `json:"id"`
	Timestamp string  `json:"timestamp"`
	Visitor   string  `json:"visitor"`
	Site      string  `json:"site"`
	Name      string  `json:"name"`
	URL       string  `json:"url"`
	Referrer  string  `json:"referrer,omitempty"`
	Agent     string  `json:"user_agent"`
	Country   string  `json:"country"`
	Region    string  `json:"region,omitempty"`
	City      string  `json:"city,omitempty"`
	Language  string  `json:"language"`
	Screen    string  `json:"screen"`
	Source    string  `json:"utm_source,omitempty"`
	Medium    string  `json:"utm_medium,omitempty"`
	Campaign  string  `json:"utm_campaign,omitempty"`
	Revenue   *amount `json:"revenue,omitempty"`

	Props map[string]string `json:"props,omitempty"`
}

type amount struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

var (
	pages     = []string{"/", "/products", "/products/trail-runner", "/products/city-sneaker", "/products/rain-boot", "/sale", "/blog/how-to-lace-boots", "/blog/care-of-leather", "/about", "/contact", "/cart"}
	weights   = []int{30, 18, 12, 10, 7, 8, 9, 5, 3, 2, 8}
	referrers = []string{"", "", "", "https://www.google.com/", "https://www.google.com/", "https://www.bing.com/", "https://duckduckgo.com/",
		"https://www.instagram.com/", "https://chatgpt.com/", "https://www.reddit.com/r/hiking/", "https://news.ycombinator.com/", "https://trailmag.example/gear"}
	countries = []string{"DE", "DE", "DE", "DE", "AT", "CH", "US", "US", "GB", "FR", "NL", "ES", "JP"}
	languages = map[string]string{"DE": "de", "AT": "de", "CH": "de", "US": "en-US", "GB": "en-GB", "FR": "fr", "NL": "nl", "ES": "es", "JP": "ja"}
	screens   = []string{"XS", "XS", "SM", "MD", "LG", "LG", "XL"}
	places    = map[string][]place{
		"DE": {{"DE-BE", "Berlin"}, {"DE-BE", "Berlin"}, {"DE-HH", "Hamburg"}, {"DE-BY", "Munich"}, {"DE-NW", "Cologne"}, {"DE-SN", "Leipzig"}},
		"AT": {{"AT-9", "Vienna"}, {"AT-5", "Salzburg"}}, "CH": {{"CH-ZH", "Zurich"}, {"CH-BE", "Bern"}},
		"US": {{"US-NY", "New York"}, {"US-CA", "San Francisco"}, {"US-WA", "Seattle"}}, "GB": {{"GB-ENG", "London"}, {"GB-SCT", "Edinburgh"}},
		"FR": {{"FR-IDF", "Paris"}, {"FR-ARA", "Lyon"}}, "NL": {{"NL-NH", "Amsterdam"}}, "ES": {{"ES-MD", "Madrid"}}, "JP": {{"JP-13", "Tokyo"}},
	}
	campaigns = []campaign{{"newsletter", "email", "autumn-sale"}, {"newsletter", "email", "new-arrivals"}, {"instagram", "social", "trail-week"}, {"google", "cpc", "rain-boots"}}
)

type place struct{ region, city string }

type campaign struct{ source, medium, name string }

func main() {
	log.SetFlags(0)
	site := flag.String("site", "demo.footfall", "domain of the events")
	days := flag.Int("days", 400, "days before now")
	daily := flag.Int("daily", 120, "visits of a usual day, at the end")
	seed := flag.Uint64("seed", 1, "")
	until := flag.String("until", "", "RFC 3339; empty is now")
	flag.Parse()
	end := time.Now()
	if *until != "" {
		var err error
		if end, err = time.Parse(time.RFC3339, *until); err != nil {
			log.Fatal("--until: ", err)
		}
	}
	out := bufio.NewWriter(os.Stdout)
	enc := json.NewEncoder(out)
	r := rand.New(rand.NewPCG(*seed, 3))
	agents := traffic.Agents(40, *seed)
	n := 0
	for d := *days; d >= 0; d-- {
		day := end.AddDate(0, 0, -d).Truncate(24 * time.Hour)
		growth := 0.4 + 0.6*float64(*days-d)/float64(*days)
		season := 1 + 0.2*math.Sin(float64(day.YearDay())/58)
		week := []float64{0.8, 1, 1.05, 1.05, 1, 0.9, 0.75}[day.Weekday()]
		visits := int(float64(*daily) * growth * season * week * (0.9 + 0.2*r.Float64()))
		for v := range visits {
			at := day.Add(time.Duration((8 + 12*math.Abs(r.NormFloat64()*0.35+0.5)) * float64(time.Hour)))
			country := countries[r.IntN(len(countries))]
			e := event{Visitor: fmt.Sprintf("v%d", int(math.Abs(r.NormFloat64())*float64(visits)*3)+d/30*1000), Site: *site, Name: "pageview",
				Referrer: referrers[r.IntN(len(referrers))], Agent: agents[r.IntN(len(agents))], Country: country, Language: languages[country],
				Screen: screens[r.IntN(len(screens))]}
			spot := places[country][r.IntN(len(places[country]))]
			e.Region, e.City = spot.region, spot.city
			if r.IntN(7) == 0 {
				c := campaigns[r.IntN(len(campaigns))]
				e.Source, e.Medium, e.Campaign, e.Referrer = c.source, c.medium, c.name, ""
			}
			views := 1 + int(r.ExpFloat64()*1.6)
			for range views {
				if at.After(end) {
					break
				}
				n++
				e.ID, e.Timestamp = fmt.Sprintf("seed-%d-%d-%d-%d", *seed, d, v, n), at.UTC().Format(time.RFC3339Nano)
				e.URL = "https://" + *site + page(r)
				if err := enc.Encode(e); err != nil {
					log.Fatal(err)
				}
				at = at.Add(time.Duration(20+r.IntN(200)) * time.Second)
			}
			if r.IntN(9) == 0 && at.Before(end) {
				n++
				sign := e
				sign.ID, sign.Timestamp, sign.Name = fmt.Sprintf("seed-%d-%d-%d-%d", *seed, d, v, n), at.UTC().Format(time.RFC3339Nano), "Newsletter sign-up"
				sign.Props = map[string]string{"form": []string{"footer", "footer", "checkout", "pop-up"}[r.IntN(4)]}
				if err := enc.Encode(sign); err != nil {
					log.Fatal(err)
				}
			}
			if views > 3 && r.IntN(3) == 0 && at.Before(end) {
				n++
				buy := e
				buy.ID, buy.Timestamp, buy.Name = fmt.Sprintf("seed-%d-%d-%d-%d", *seed, d, v, n), at.UTC().Format(time.RFC3339Nano), "Purchase"
				buy.URL, buy.Revenue = "https://"+*site+"/thank-you", &amount{fmt.Sprintf("%d.90", 39+10*r.IntN(14)), "EUR"}
				if err := enc.Encode(buy); err != nil {
					log.Fatal(err)
				}
			}
		}
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

func page(r *rand.Rand) string {
	total := 0
	for _, w := range weights {
		total += w
	}
	k := r.IntN(total)
	for i, w := range weights {
		if k -= w; k < 0 {
			return pages[i]
		}
	}
	return "/"
}
