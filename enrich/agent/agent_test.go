package agent

import (
	"bufio"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"footfall/analytics"
)

type known struct {
	ua   string
	want analytics.Agent
}

// browsers reads testdata/browsers.txt.
func browsers(t testing.TB) []known {
	t.Helper()
	f, err := os.Open("testdata/browsers.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []known
	var want *analytics.Agent
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "#") || line == "":
		case want == nil:
			part := strings.Split(line, "|")
			if len(part) != 5 {
				t.Fatalf("browsers.txt: %q has %d parts, want 5", line, len(part))
			}
			for i := range part {
				part[i] = strings.TrimSpace(part[i])
			}
			want = &analytics.Agent{Browser: part[0], BrowserVersion: part[1], OS: part[2], OSVersion: part[3], Device: part[4]}
		default:
			all = append(all, known{line, *want})
			want = nil
		}
	}
	return all
}

func TestEveryKnownBrowserIsRead(t *testing.T) {
	all := browsers(t)
	if len(all) < 80 {
		t.Fatalf("only %d user agents in the table", len(all))
	}
	for _, k := range all {
		if got := Parse(k.ua, 0); got != k.want {
			t.Errorf("%s\n got %+v\nwant %+v", k.ua, got, k.want)
		}
	}
}

func TestHintsMendWhatAFrozenUserAgentHides(t *testing.T) {
	const linux = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
	const windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
	const frozen = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
	for _, tt := range []struct {
		ua, platform, mobile string
		os, device           string
	}{
		{linux, "", "", "GNU/Linux", Desktop},
		{linux, `"Linux"`, "?0", "GNU/Linux", Desktop},
		{linux, `"Android"`, "?0", "Android", Tablet},
		{linux, `"Android"`, "?1", "Android", Mobile},
		{linux, `"Chrome OS"`, "?0", "Chrome OS", Desktop},
		{windows, `"Linux"`, "?0", "Windows", Desktop},
		{windows, `"Android"`, "?1", "Windows", Desktop},
		{frozen, `"Android"`, "?0", "Android", Tablet},
		{frozen, `"Android"`, "?1", "Android", Mobile},
		{"Mozilla/5.0", `"macOS"`, "?0", "Mac", Desktop},
		{"Mozilla/5.0", `"Windows"`, "", "Windows", Desktop},
		{"Mozilla/5.0", `"Plan 9"`, "yes", "", ""},
	} {
		got := Parse(tt.ua, ReadHint([]byte(tt.platform), []byte(tt.mobile)))
		if got.OS != tt.os || got.Device != tt.device {
			t.Errorf("%s with %s %s: %s %s, want %s %s", tt.ua, tt.platform, tt.mobile, got.OS, got.Device, tt.os, tt.device)
		}
	}
}

func TestNobodyCanInventAName(t *testing.T) {
	for _, ua := range []string{
		"Mozilla/5.0 (X11; Invented 7) AppleWebKit/537.36 (KHTML, like Gecko) Invented/1.2 Safari/537.36",
		"Invented/1.0", "Mozilla/5.0", "x", "Chrome", "Safari/1", "Online/3.0 (iPhone-like)",
	} {
		got := Parse(ua, 0)
		if strings.Contains(got.Browser, "Invented") || strings.Contains(got.OS, "Invented") || got.Browser == "Mobile App" && !strings.Contains(ua, "iPhone") {
			t.Errorf("%s: %+v", ua, got)
		}
	}
	got := Parse("Mozilla/5.0 (Windows NT 10.0) Chrome/12345678901234567890.99999999 Safari/1", 0)
	if got.BrowserVersion != "" {
		t.Errorf("version %q from an absurd number, want none", got.BrowserVersion)
	}
}

func FuzzParse(f *testing.F) {
	for _, k := range browsers(f) {
		f.Add(k.ua, uint8(0))
	}
	f.Add("CrOS ", uint8(255))
	f.Add("Windows NT ", uint8(1))
	f.Add("Version/1_\xff Safari/", uint8(2))
	names := map[string]bool{"": true, MobileApp: true, "IE Mobile": true, "Opera": true, "Internet Explorer": true,
		"Chrome": true, "Tizen Browser": true, "Android Browser": true, "Safari": true}
	for _, p := range products {
		names[p.name] = true
	}
	f.Fuzz(func(t *testing.T, ua string, hint uint8) {
		a := Parse(ua, Hint(hint))
		if !names[a.Browser] {
			t.Errorf("browser %q is not on the list", a.Browser)
		}
		for _, v := range []string{a.BrowserVersion, a.OSVersion} {
			if len(v) > 13 || !utf8.ValidString(v) || strings.Trim(v, "0123456789.") != "" && windows["5.1"] != v && windows["6.0"] != v {
				t.Errorf("version %q", v)
			}
		}
		switch a.Device {
		case "", Desktop, Mobile, Tablet:
		default:
			t.Errorf("device %q", a.Device)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	all := browsers(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		Parse(all[i%len(all)].ua, 0)
	}
}
