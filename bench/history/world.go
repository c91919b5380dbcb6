package history

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"strconv"
	"strings"

	"footfall/analytics"
)

// World is what sites have in common: paths, sources, places, browsers. It is
// immutable and may be shared.
type World struct {
	paths     []string
	sources   []source
	countries []country
	agents    []analytics.Agent
	campaigns []analytics.Acquisition
	props     [][]analytics.Prop

	hours, country, region, agent, source, campaign cumulated
}

type source struct {
	name, channel string
	referrers     []string
}

type country struct {
	code, language string
	regions        []region
}

type region struct {
	code   string
	cities []string
}

// cumulated chooses an index by weight.
type cumulated []float64

func (c cumulated) pick(u float64) int {
	return min(sort.SearchFloat64s(c, u*c[len(c)-1]), len(c)-1)
}

func cumulate(weights []float64) cumulated {
	sum := 0.0
	c := make(cumulated, len(weights))
	for i, w := range weights {
		sum += w
		c[i] = sum
	}
	return c
}

// zipf gives the weights of Zipf's law for n ranks.
func zipf(n int, s float64) cumulated {
	w := make([]float64, n)
	for i := range w {
		w[i] = math.Pow(float64(i+1), -s)
	}
	return cumulate(w)
}

const regionsPerCountry = 12

var (
	checkout    = []string{"/cart", "/checkout", "/thanks"}
	customNames = []string{"Signup", "Add to cart", "Purchase", "Download", "Video play", "Outbound Link: Click", "Form: Submission"}
	hourWeights = []float64{2, 1.3, 1, .8, .8, 1.1, 1.9, 3.2, 4.6, 5.6, 6, 6, 5.8, 5.7, 5.6, 5.5, 5.4, 5.6, 6, 6.6, 7, 6.6, 5, 3.2}
)

// ISO 3166-1 alpha-2, by roughly how many people there use the web.
const countryCodes = `US CN IN DE GB FR BR JP ID RU MX NG ES IT PH CA VN TR PL NL EG TH KR PK BD IR AU UA AR CO ZA MA RO CL PE
SA MY SE BE CH AT PT GR CZ HU DK FI NO IE IL AE SG HK TW NZ KE DZ IQ ET GH UZ KZ EC VE GT DO BO CU TN LK MM NP KH SD TZ UG
CI CM SN AO ZM ZW MZ MG RW BJ BF ML NE TG SK BG RS HR SI LT LV EE LU MT CY IS AL MK BA ME MD BY GE AM AZ KG TJ TM MN JO LB
SY YE OM QA KW BH AF PS LY CR PA SV HN NI UY PY JM TT HT BB BS GY SR FJ PG MU BW NA GA CG TD SO MR SL LR LS SZ CV KM DJ ER BN TL LC GD AG`

var languages = map[string]string{"US": "en-US", "GB": "en-GB", "DE": "de", "AT": "de", "CH": "de", "FR": "fr", "BE": "fr", "BR": "pt-BR",
	"PT": "pt", "ES": "es", "MX": "es", "AR": "es", "CO": "es", "CL": "es", "IT": "it", "NL": "nl", "JP": "ja", "CN": "zh", "RU": "ru", "TR": "tr"}

var knownSources = []source{
	{"Google", "Organic Search", []string{"google.com"}}, {"Facebook", "Organic Social", []string{"facebook.com", "m.facebook.com"}},
	{"Bing", "Organic Search", []string{"bing.com"}}, {"DuckDuckGo", "Organic Search", []string{"duckduckgo.com"}},
	{"Instagram", "Organic Social", []string{"instagram.com", "l.instagram.com"}}, {"Twitter", "Organic Social", []string{"t.co", "x.com"}},
	{"ChatGPT", "Organic AI", []string{"chatgpt.com"}}, {"Reddit", "Organic Social", []string{"reddit.com/r/shopping", "reddit.com/r/hiking", "reddit.com"}},
	{"YouTube", "Organic Video", []string{"youtube.com"}}, {"LinkedIn", "Organic Social", []string{"linkedin.com", "lnkd.in"}},
	{"Pinterest", "Organic Social", []string{"pinterest.com"}}, {"Hacker News", "Referral", []string{"news.ycombinator.com/item"}},
}

// NewWorld makes a world from a seed.
func NewWorld(seed uint64) *World {
	r := rand.New(rand.NewPCG(seed, 7))
	w := &World{hours: cumulate(hourWeights)}
	w.makePaths()
	w.makeSources(r)
	w.makePlaces(r)
	w.makeAgents()
	w.makeCampaigns(r)
	for _, plan := range []string{"free", "starter", "pro", "team", "enterprise"} {
		for _, variant := range []string{"A", "B", "C"} {
			for k := range 20 {
				p := []analytics.Prop{{Key: "plan", Value: plan}, {Key: "variant", Value: variant}}
				w.props = append(w.props, append(p, analytics.Prop{Key: "item", Value: "item-" + strconv.Itoa(k)})[:1+k%3])
			}
		}
	}
	return w
}

func (w *World) makePaths() {
	kinds := []string{"/products/", "/products/", "/products/", "/blog/", "/category/", "/help/", "/authors/"}
	nouns := []string{"boot", "lamp", "chair", "kettle", "tent", "mug", "vase", "scarf", "knife", "rug", "clock", "bowl"}
	traits := []string{"red", "large", "light", "nordic", "quiet", "warm", "city", "alpine", "classic", "small", "folding"}
	w.paths = make([]string, Paths)
	w.paths[0] = "/"
	for i := 1; i < Paths; i++ {
		w.paths[i] = kinds[i%len(kinds)] + traits[i/7%len(traits)] + "-" + nouns[i/3%len(nouns)] + "-" + strconv.Itoa(i)
	}
}

func (w *World) makeSources(r *rand.Rand) {
	w.sources = append(w.sources, knownSources...)
	topics := []string{"blog", "news", "forum", "deals", "review", "mag", "daily", "club"}
	for i := len(w.sources); i < Sources; i++ {
		domain := topics[i%len(topics)] + "-" + strconv.Itoa(i) + ".example"
		s := source{domain, "Referral", []string{domain}}
		for k := range r.IntN(4) {
			s.referrers = append(s.referrers, domain+"/post/"+strconv.Itoa(k))
		}
		w.sources = append(w.sources, s)
	}
	w.source = zipf(Sources, 1.15)
}

func (w *World) makePlaces(r *rand.Rand) {
	city := 100_000
	for _, code := range strings.Fields(countryCodes) {
		c := country{code: code, language: languages[code]}
		if c.language == "" {
			c.language = "en"
		}
		for k := range regionsPerCountry {
			reg := region{code: fmt.Sprintf("%s-%02d", code, k+1)}
			for range 2 + r.IntN(6) {
				city += 1 + r.IntN(900)
				reg.cities = append(reg.cities, strconv.Itoa(city))
			}
			c.regions = append(c.regions, reg)
		}
		w.countries = append(w.countries, c)
	}
	w.countries = w.countries[:Countries]
	w.country, w.region = zipf(Countries, 1.05), zipf(regionsPerCountry, 0.9)
}

func (w *World) makeAgents() {
	var weights []float64
	for _, a := range []struct {
		weight      float64
		browser, os string
		device      string
		versions    int
		first       int
		osVersions  []string
	}{
		{28, "Chrome", "Windows", "Desktop", 14, 128, []string{"10", "11"}},
		{12, "Chrome", "Mac", "Desktop", 10, 130, []string{"10.15", "14.6", "15.1"}},
		{20, "Chrome", "Android", "Mobile", 14, 128, []string{"11", "12", "13", "14", "15"}},
		{18, "Safari", "iOS", "Mobile", 8, 15, []string{"16.7", "17.5", "17.6", "18.0", "18.1"}},
		{6, "Safari", "Mac", "Desktop", 6, 14, []string{"10.15", "14.6", "15.1"}},
		{5, "Microsoft Edge", "Windows", "Desktop", 10, 125, []string{"10", "11"}},
		{4, "Firefox", "Windows", "Desktop", 12, 120, []string{"10", "11"}},
		{2, "Firefox", "GNU/Linux", "Desktop", 12, 120, []string{""}},
		{2, "Samsung Browser", "Android", "Mobile", 6, 22, []string{"12", "13", "14"}},
		{2, "Safari", "iPadOS", "Tablet", 6, 15, []string{"16.7", "17.6", "18.1"}},
		{1, "Opera", "Windows", "Desktop", 6, 108, []string{"10", "11"}},
	} {
		for v := range a.versions {
			for _, os := range a.osVersions {
				w.agents = append(w.agents, analytics.Agent{Browser: a.browser, BrowserVersion: strconv.Itoa(a.first+v) + ".0", OS: a.os, OSVersion: os, Device: a.device})
				weights = append(weights, a.weight*math.Pow(0.6, float64(a.versions-1-v))/float64(len(a.osVersions)))
			}
		}
	}
	w.agent = cumulate(weights)
}

func (w *World) makeCampaigns(r *rand.Rand) {
	media := []struct{ source, medium, name, channel, click string }{
		{"google", "cpc", "Google", "Paid Search", "gclid"}, {"facebook", "paid_social", "Facebook", "Paid Social", ""},
		{"newsletter", "email", "newsletter", "Email", ""}, {"bing", "cpc", "Bing", "Paid Search", "msclkid"},
		{"partner", "affiliate", "partner", "Affiliates", ""},
	}
	for i := range 300 {
		m := media[i%len(media)]
		w.campaigns = append(w.campaigns, analytics.Acquisition{Source: m.name, Channel: m.channel, Medium: m.medium, UTMSource: m.source,
			Campaign: fmt.Sprintf("campaign-%d", i/3), Content: fmt.Sprintf("banner-%d", r.IntN(8)), Term: []string{"", "", "boots", "lamps"}[r.IntN(4)], ClickID: m.click})
	}
	w.campaign = zipf(len(w.campaigns), 1)
}
