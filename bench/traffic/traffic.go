// Package traffic makes beacon requests as real visitors' browsers send them:
// pages by Zipf's law, many user agents and addresses, several sites. It is
// deterministic in its seed and must never be so costly that it is what a
// benchmark measures. Start at New.
package traffic

import (
	"fmt"
	"math/rand/v2"
	"strconv"
)

// Mix says how varied the traffic is.
type Mix struct {
	Sites      int // named site-0.bench, site-1.bench, …
	Pages      int // Zipf, s = 1.1
	Agents     int
	Addresses  int // a visitor each
	Seed       uint64
	Host       string // Host header
	Path       string // request target
	WithoutIDs bool   // leave the event id out
}

// Usual is the mix that the goals are stated for.
func Usual() Mix {
	return Mix{Sites: 10, Pages: 1000, Agents: 200, Addresses: 50_000, Seed: 1, Host: "127.0.0.1", Path: "/api/event"}
}

// Domain gives the name of the i-th site.
func Domain(i int) string { return "site-" + strconv.Itoa(i) + ".bench" }

// Source makes requests. Not safe for concurrent use; make one per connection.
type Source struct {
	mix    Mix
	rand   *rand.Rand
	pages  *rand.Zipf
	agents []string
	body   []byte
	ids    uint64
}

// New makes the n-th source of a mix; different n give different requests.
func New(mix Mix, n int) *Source {
	r := rand.New(rand.NewPCG(mix.Seed, uint64(n)))
	return &Source{mix: mix, rand: r, pages: rand.NewZipf(r, 1.1, 1, uint64(mix.Pages-1)),
		agents: Agents(mix.Agents, mix.Seed), ids: mix.Seed<<48 ^ uint64(n)<<32}
}

// Agents gives n different user agents of today's browsers.
func Agents(n int, seed uint64) []string {
	r := rand.New(rand.NewPCG(seed, 77))
	systems := []string{
		"Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64",
		"Linux; Android 14; Pixel 8", "Linux; Android 13; SM-S911B", "X11; CrOS x86_64 14541.0.0",
	}
	out := make([]string, n)
	for i := range out {
		system := systems[r.IntN(len(systems))]
		major := 100 + i%60
		mobile := ""
		if system[:12] == "Linux; Andro" {
			mobile = " Mobile"
		}
		switch i % 4 {
		case 0:
			out[i] = fmt.Sprintf("Mozilla/5.0 (%s; rv:%d.0) Gecko/20100101 Firefox/%d.0", system, major, major)
		case 1:
			out[i] = fmt.Sprintf("Mozilla/5.0 (%s) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0%s Safari/537.36 Edg/%d.0.%d.0", system, major, mobile, major, i)
		default:
			out[i] = fmt.Sprintf("Mozilla/5.0 (%s) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.%d.0%s Safari/537.36", system, major, i, mobile)
		}
	}
	return out
}

var referrers = []string{
	"", "", "", "", "https://www.google.com/", "https://www.google.de/", "https://duckduckgo.com/", "https://t.co/abc",
	"https://www.facebook.com/", "https://news.ycombinator.com/item?id=1", "https://chatgpt.com/", "https://blog.example.org/a/b",
}

// Append appends one request, header and body, to dst.
func (s *Source) Append(dst []byte) []byte {
	page := s.pages.Uint64()
	addr := s.rand.IntN(s.mix.Addresses)
	who := uint64(addr) * 0x9e3779b97f4a7c15 // a visitor keeps to one browser and one site
	site := int(who >> 33 % uint64(s.mix.Sites))
	b := s.body[:0]
	b = append(b, `{"n":"pageview","u":"https://site-`...)
	b = strconv.AppendInt(b, int64(site), 10)
	b = append(b, `.bench/shop/category-`...)
	b = strconv.AppendUint(b, page%37, 10)
	b = append(b, `/product-`...)
	b = strconv.AppendUint(b, page, 10)
	b = append(b, `","d":"site-`...)
	b = strconv.AppendInt(b, int64(site), 10)
	b = append(b, `.bench","r":`...)
	if ref := referrers[s.rand.IntN(len(referrers))]; ref == "" {
		b = append(b, "null"...)
	} else {
		b = append(append(append(b, '"'), ref...), '"')
	}
	b = append(b, `,"w":1440,"l":"en-GB"`...)
	if !s.mix.WithoutIDs {
		s.ids++
		b = append(b, `,"id":"`...)
		b = strconv.AppendUint(b, s.ids*0x9e3779b97f4a7c15, 16)
		b = strconv.AppendUint(b, s.ids, 16)
		b = append(b, '"')
	}
	b = append(b, '}')
	s.body = b

	dst = append(dst, "POST "...)
	dst = append(dst, s.mix.Path...)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, s.mix.Host...)
	dst = append(dst, "\r\nUser-Agent: "...)
	dst = append(dst, s.agents[who>>17%uint64(len(s.agents))]...)
	dst = append(dst, "\r\nX-Forwarded-For: 81."...)
	dst = strconv.AppendInt(dst, int64(addr>>16), 10)
	dst = append(dst, '.')
	dst = strconv.AppendInt(dst, int64(addr>>8&255), 10)
	dst = append(dst, '.')
	dst = strconv.AppendInt(dst, int64(addr&255), 10)
	dst = append(dst, "\r\nAccept: */*\r\nAccept-Language: en-GB,en;q=0.9\r\nContent-Type: text/plain\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(b)), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, b...)
}
