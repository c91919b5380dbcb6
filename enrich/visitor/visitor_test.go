package visitor

import (
	"net/netip"
	"strings"
	"testing"
	"unsafe"

	"footfall/analytics"
)

var (
	salt  = &[16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	other = &[16]byte{16, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 1}
)

const (
	fixedID    = 0xf1d584f9372a2e4a
	fixedNamed = 0x95472e7de51f7f9a
	fixedEvent = 0x590d41800cca477e
)

const chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"

func id(salt *[16]byte, site analytics.SiteID, addr, ua, domain string) uint64 {
	var a netip.Addr
	if addr != "" {
		a = netip.MustParseAddr(addr)
	}
	return ID(salt, site, a, []byte(ua), domain)
}

func TestEveryPartOfAVisitorCounts(t *testing.T) {
	base := id(salt, 1, "192.0.2.1", chrome, "example.org")
	if again := id(salt, 1, "192.0.2.1", chrome, "example.org"); again != base {
		t.Error("the same visitor got two ids")
	}
	if mapped := id(salt, 1, "::ffff:192.0.2.1", chrome, "example.org"); mapped != base {
		t.Error("an IPv4 address in IPv6 form got another id")
	}
	if id(salt, 1, "fe80::1%eth0", chrome, "example.org") != id(salt, 1, "fe80::1", chrome, "example.org") {
		t.Error("a zone changes the id")
	}
	for name, got := range map[string]uint64{
		"salt":    id(other, 1, "192.0.2.1", chrome, "example.org"),
		"site":    id(salt, 2, "192.0.2.1", chrome, "example.org"),
		"address": id(salt, 1, "192.0.2.2", chrome, "example.org"),
		"agent":   id(salt, 1, "192.0.2.1", chrome+" ", "example.org"),
		"domain":  id(salt, 1, "192.0.2.1", chrome, "example.com"),
		"split":   id(salt, 1, "192.0.2.1", chrome+"e", "xample.org"),
		"nothing": id(salt, 1, "", "", ""),
	} {
		if got == base || got == 0 {
			t.Errorf("another %s gives the id %x", name, got)
		}
	}
}

func TestNamesAndEventsDoNotShareNumbers(t *testing.T) {
	if Named(salt, "a") == EventID(salt, "a") || Named(salt, "a") == Named(other, "a") || EventID(salt, "a") == EventID(salt, "b") {
		t.Error("two different things share a number")
	}
	if Named(salt, "a") != Named(salt, "a") || EventID(salt, "x") != EventID(salt, "x") {
		t.Error("one thing has two numbers")
	}
	seen := map[uint64]bool{}
	for i := range 10_000 {
		seen[EventID(salt, strings.Repeat("e", i%50)+string(rune('a'+i%26))+strings.Repeat("z", i/50))] = true
	}
	if len(seen) < 9_000 || seen[0] {
		t.Errorf("%d numbers of 10,000 ids, 0 among them: %v", len(seen), seen[0])
	}
}

// These numbers are stored: an import is recognised by them years later, and all
// nodes of a cluster have to agree. They must never change.
func TestTheNumbersAreFixedForEver(t *testing.T) {
	for _, tt := range []struct {
		name      string
		got, want uint64
	}{
		{"ID", id(salt, 7, "192.0.2.1", chrome, "example.org"), fixedID},
		{"Named", Named(salt, "customer-1"), fixedNamed},
		{"EventID", EventID(salt, "order-1"), fixedEvent},
	} {
		if tt.got != tt.want {
			t.Errorf("%s = %#x, want %#x", tt.name, tt.got, tt.want)
		}
	}
}

func TestRegistrableDomain(t *testing.T) {
	domains := NewDomains(8)
	for host, want := range map[string]string{
		"example.org": "example.org", "shop.example.org": "example.org", "a.b.c.example.co.uk": "example.co.uk",
		"me.github.io": "me.github.io", "x.me.github.io": "me.github.io", "github.io": "github.io", "co.uk": "co.uk", "com": "com",
		"localhost": "localhost", "": "", ".": "", "192.0.2.1": "192.0.2.1", "1.2.3.4.5": "4.5", "[2001:db8::1]": "[2001:db8::1]", "2001:db8::1": "2001:db8::1",
		"example.org.": "example.org", "shop.unknown-suffix": "shop.unknown-suffix", "a.shop.unknown-suffix": "shop.unknown-suffix",
		".example": ".example", "..": ".", "(none)": "(none)", "xn--bcher-kva.example": "xn--bcher-kva.example",
	} {
		if got := RegistrableDomain(host); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
		for range 2 {
			if got := domains.Registrable(host); got != want {
				t.Errorf("from memory: %q: %q, want %q", host, got, want)
			}
		}
	}
}

func TestAReusedBufferDoesNotChangeWhatIsRemembered(t *testing.T) {
	d := NewDomains(8)
	buffer := []byte("shop.example.org")
	got := d.Registrable(unsafe.String(&buffer[0], len(buffer)))
	copy(buffer, "evil.exam")
	if got != "example.org" || d.Registrable("shop.example.org") != "example.org" {
		t.Errorf("remembered %q after the buffer changed", got)
	}
}

func TestNothingHereAllocates(t *testing.T) {
	v4, v6, ua := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"), []byte(chrome)
	domains := NewDomains(16)
	long := []byte(strings.Repeat(chrome, 20))
	for name, f := range map[string]func(){
		"ID":                   func() { ID(salt, 1, v4, ua, "example.org") },
		"ID of IPv6":           func() { ID(salt, 1, v6, ua, "example.org") },
		"ID of a long agent":   func() { ID(salt, 1, v4, long, "example.org") },
		"Named":                func() { Named(salt, "customer 4711 of the shop, a rather long name") },
		"EventID":              func() { EventID(salt, "01J1Z8Q6V8H3K2Y7W4X9T5R6N0") },
		"Registrable":          func() { domains.Registrable("shop.example.co.uk") },
		"RegistrableDomain IP": func() { RegistrableDomain("192.0.2.1") },
	} {
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func FuzzRegistrableDomain(f *testing.F) {
	for _, s := range []string{"", ".", "a.b.co.uk", "..com", "[::1", "1.2.3", "\xff.com", "*.ck", "www.ck"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		d := RegistrableDomain(host)
		if !strings.HasSuffix(strings.TrimSuffix(host, "."), d) {
			t.Errorf("%q: %q is not its end", host, d)
		}
		if !strings.HasSuffix(d, ".") && RegistrableDomain(d) != d {
			t.Errorf("%q: %q becomes %q", host, d, RegistrableDomain(d))
		}
	})
}

func BenchmarkID(b *testing.B) {
	addr, ua := netip.MustParseAddr("192.0.2.1"), []byte(chrome)
	b.ReportAllocs()
	for b.Loop() {
		ID(salt, 1, addr, ua, "example.org")
	}
}

func BenchmarkRegistrable(b *testing.B) {
	d := NewDomains(64)
	b.ReportAllocs()
	for b.Loop() {
		d.Registrable("shop.example.co.uk")
	}
}

func BenchmarkRegistrableDomain(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		RegistrableDomain("shop.example.co.uk")
	}
}
