package visitor

import (
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"

	"footfall/analytics"
	"footfall/enrich/recent"
)

// Domains remembers registrable domains, for doors that need one per view. Safe
// for concurrent use.
type Domains struct{ known *recent.Table[string] }

// NewDomains gives an empty memory for about size hosts.
func NewDomains(size int) *Domains { return &Domains{known: recent.New[string](size)} }

// Registrable is RegistrableDomain from memory. host is not kept: it may view a
// reused buffer. The result is the memory's own. No allocation for a host that
// was asked for before.
func (d *Domains) Registrable(host string) string {
	if found, ok := d.known.GetString(host, 0); ok {
		return *found
	}
	if len(host) > analytics.DomainBytesMax {
		return strings.Clone(RegistrableDomain(host))
	}
	own := strings.Clone(host)
	return *d.known.Put(own, 0, RegistrableDomain(own))
}

// RegistrableDomain is the part of host that somebody registered: the public
// suffix and one label more, "example.co.uk" of "shop.example.co.uk". host is in
// lower case, without port. An address, a name without a dot and a public suffix
// itself come back as they are. The result shares host's memory. A name costs one
// small allocation inside the public suffix list; Domains avoids it.
func RegistrableDomain(host string) string {
	host = strings.TrimSuffix(host, ".")
	if address(host) {
		return host
	}
	suffix, _ := publicsuffix.PublicSuffix(host)
	end := len(host) - len(suffix) - 1
	if end <= 0 || host[end] != '.' {
		return host
	}
	return host[strings.LastIndexByte(host[:end], '.')+1:]
}

// address tells whether host is an IP address. Only what ends in a digit or a
// bracket, or holds a colon, is worth parsing: a failed parse allocates.
func address(host string) bool {
	if host == "" || strings.IndexByte(host, ':') >= 0 || host[0] == '[' {
		return true
	}
	for i := 0; i < len(host); i++ {
		if c := host[i]; c != '.' && (c < '0' || c > '9') {
			return false
		}
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}
