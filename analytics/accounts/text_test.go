package accounts

import (
	"strings"
	"testing"

	"footfall/analytics"
)

func TestNormalizeDomain(t *testing.T) {
	for in, want := range map[string]string{
		"example.com":                    "example.com",
		" Example.COM ":                  "example.com",
		"www.example.com":                "example.com",
		"https://www.Example.com/":       "example.com",
		"http://example.com":             "example.com",
		"//example.com":                  "example.com",
		"example.com.":                   "example.com",
		"localhost":                      "localhost",
		"www.com":                        "www.com",
		"xn--bcher-kva.example":          "xn--bcher-kva.example",
		"my_shop.example":                "my_shop.example",
		"127.0.0.1":                      "127.0.0.1",
		strings.Repeat("a", 63) + ".com": strings.Repeat("a", 63) + ".com",
	} {
		if got, err := NormalizeDomain(in); err != nil || got != want {
			t.Errorf("%q: %q %v, want %q", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"":                               "domain: must not be empty",
		"https://":                       "domain: ",
		"example.com/shop":               "path",
		"example.com?x":                  "path",
		"example.com:8080":               "port",
		"bücher.example":                 "punycode",
		"exa mple.com":                   "character",
		"example..com":                   "part",
		"-a.com":                         "part",
		"a-.com":                         "part",
		"a\x00.com":                      "character",
		"ex<script>.com":                 "character",
		strings.Repeat("a", 64) + ".com": "part",
		strings.Repeat("a.", 127) + "a":  "longer than 253",
	} {
		got, err := NormalizeDomain(in)
		if err == nil || !strings.HasPrefix(err.Error(), "domain: ") || !strings.Contains(err.Error(), want) || analytics.CodeOf(err) != analytics.Invalid {
			t.Errorf("%q: %q, %v; want an error with %q", in, got, err, want)
		}
	}
}

func FuzzNormalizeDomain(f *testing.F) {
	for _, s := range []string{"example.com", "www.www.example.com", "HTTPS://x.y/", "http://http://a", "www..a", "a.", "xn--a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		d, err := NormalizeDomain(in)
		if err != nil {
			return
		}
		if len(d) > analytics.DomainBytesMax || d == "" || strings.ToLower(d) != d {
			t.Fatalf("%q became %q", in, d)
		}
		for i := range len(d) {
			if c := d[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`/\:@?#<>"'&%`, c) >= 0 {
				t.Fatalf("%q became %q with %q", in, d, c)
			}
		}
	})
}

func TestNormalizeEmail(t *testing.T) {
	for in, want := range map[string]string{
		" Ada@Example.COM ":      "ada@example.com",
		"a+b.c_d@sub.x-y.co":     "a+b.c_d@sub.x-y.co",
		"o'neil@example.com":     "o'neil@example.com",
		"admin@localhost":        "admin@localhost",
		"jürgen@example.com":     "jürgen@example.com",
		"user@xn--bcher.example": "user@xn--bcher.example",
	} {
		if got, err := NormalizeEmail(in); err != nil || got != want {
			t.Errorf("%q: %q %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "ada", "@example.com", "ada@", "a b@example.com", "a\n@example.com", "a@b@c", "a@b,c", "<a>@b.c",
		strings.Repeat("a", 65) + "@example.com", "a@" + strings.Repeat("b", 260), "a\xff@example.com"} {
		if got, err := NormalizeEmail(in); err == nil || !strings.HasPrefix(err.Error(), "email: ") {
			t.Errorf("%q: %q, %v; want an error", in, got, err)
		}
	}
}

func TestKnownTimezone(t *testing.T) {
	for _, tz := range []string{"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"} {
		if err := KnownTimezone(tz); err != nil {
			t.Errorf("%q: %v", tz, err)
		}
	}
	for _, tz := range []string{"", "Local", "localtime", "Mars/Olympus", "../etc/passwd", "posix/Europe/Berlin", "Europe/Berlin\x00", "A" + strings.Repeat("a", 80)} {
		if err := KnownTimezone(tz); err == nil || !strings.HasPrefix(err.Error(), "timezone: ") {
			t.Errorf("%q: %v, want an error", tz, err)
		}
	}
}

func TestSiteSettingsAreCleanedAndChecked(t *testing.T) {
	good := UpdateSite{ID: 1,
		Hostnames: &[]string{" Shop.Example.com ", "*.example.com", "", "shop.example.com"},
		Pages:     &[]string{"/admin/*", "*.json"},
		IPs:       &[]string{"192.0.2.77/24", "::ffff:198.51.100.1", "2001:DB8::1"},
		Countries: &[]string{"de", "FR", "de"},
	}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		got  []string
		want string
	}{
		{*good.Hostnames, "shop.example.com *.example.com"},
		{*good.Pages, "/admin/* *.json"},
		{*good.IPs, "192.0.2.0/24 198.51.100.1 2001:db8::1"},
		{*good.Countries, "DE FR"},
	} {
		if got := strings.Join(c.got, " "); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	many := make([]string, PagesMax+1)
	for i := range many {
		many[i] = "/" + strings.Repeat("x", i%900) + strings.Repeat("y", i/900)
	}
	for want, bad := range map[string]UpdateSite{
		"hostnames[1]: ":         {Hostnames: &[]string{"a.b", "a/b"}},
		"blocked_pages[0]: ":     {Pages: &[]string{"admin"}},
		"blocked_pages: more":    {Pages: &many},
		"blocked_ips[0]: ":       {IPs: &[]string{"300.1.1.1"}},
		"blocked_ips[1]: ":       {IPs: &[]string{"1.1.1.1", "fe80::1%eth0"}},
		"blocked_countries[0]: ": {Countries: &[]string{"GER"}},
		"timezone: ":             {Timezone: new("Berlin Mitte")},
		"domain: ":               {Domain: new("")},
	} {
		if err := bad.Check(); err == nil || !strings.HasPrefix(err.Error(), want) || analytics.CodeOf(err) != analytics.Invalid {
			t.Errorf("got %v, want %q…", err, want)
		}
	}
}
