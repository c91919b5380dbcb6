package beacon

import (
	"net/netip"
	"strings"
	"sync"

	"footfall/analytics"
)

// rules are a site's blocks and allow-list, made ready for comparing.
type rules struct {
	site      *analytics.Site // whose rules these are; another pointer means newer ones
	hostnames []string
	pages     []string
	networks  []netip.Prefix
	countries []string
}

// ruleBook keeps the rules of sites that have any. It holds at most
// ruleBookMax sites and starts anew when that is reached.
type ruleBook struct {
	mu    sync.RWMutex
	known map[analytics.SiteID]*rules
}

const ruleBookMax = 50_000

// of gives site's rules, nil if it has none.
func (b *ruleBook) of(site *analytics.Site) *rules {
	if len(site.Hostnames)+len(site.Pages)+len(site.IPs)+len(site.Countries) == 0 {
		return nil
	}
	b.mu.RLock()
	r := b.known[site.ID]
	b.mu.RUnlock()
	if r != nil && r.site == site {
		return r
	}
	r = &rules{site: site, pages: site.Pages}
	for _, h := range site.Hostnames {
		r.hostnames = append(r.hostnames, strings.TrimPrefix(strings.ToLower(strings.TrimSpace(h)), "www."))
	}
	for _, c := range site.Countries {
		r.countries = append(r.countries, strings.ToUpper(c))
	}
	for _, text := range site.IPs {
		if p, err := netip.ParsePrefix(text); err == nil {
			if p.Addr().Is4In6() && p.Bits() >= 96 {
				p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
			}
			r.networks = append(r.networks, p.Masked())
		} else if a, err := netip.ParseAddr(text); err == nil {
			a = a.Unmap()
			r.networks = append(r.networks, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	b.mu.Lock()
	if b.known == nil || len(b.known) >= ruleBookMax {
		b.known = map[analytics.SiteID]*rules{}
	}
	b.known[site.ID] = r
	b.mu.Unlock()
	return r
}

// allowsHost tells whether host is on the list of hosts, if there is one.
func (r *rules) allowsHost(host string) bool {
	if r == nil || len(r.hostnames) == 0 {
		return true
	}
	return anyMatch(r.hostnames, host)
}

func (r *rules) blocksPage(page string) bool { return r != nil && anyMatch(r.pages, page) }

func (r *rules) blocksAddr(addr netip.Addr) bool {
	if r == nil || !addr.IsValid() {
		return false
	}
	for _, n := range r.networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

func (r *rules) blocksCountry(code string) bool {
	if r == nil || code == "" {
		return false
	}
	for _, c := range r.countries {
		if c == code {
			return true
		}
	}
	return false
}

func anyMatch(globs []string, s string) bool {
	for _, g := range globs {
		if glob(g, s) {
			return true
		}
	}
	return false
}

// glob tells whether s matches pattern, in which "*" stands for anything, also
// nothing and slashes. It takes len(pattern)*len(s) steps at worst.
func glob(pattern, s string) bool {
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
