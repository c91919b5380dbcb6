package place

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"footfall/analytics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func names(en string) map[string]any {
	return map[string]any{"en": en, "de": en + " (de)", "ja": "日本"}
}

// shapes are records as the databases in the world have them.
var shapes = map[string]any{
	"81.2.69.0/24": map[string]any{ // MaxMind City
		"city":         map[string]any{"geoname_id": uint32(2643743), "names": names("London")},
		"continent":    map[string]any{"code": "EU", "names": names("Europe")},
		"country":      map[string]any{"iso_code": "GB", "geoname_id": uint32(2635167), "names": names("United Kingdom")},
		"location":     map[string]any{"latitude": 51.5, "longitude": -0.1, "time_zone": "Europe/London"},
		"subdivisions": []any{map[string]any{"iso_code": "ENG", "names": names("England")}, map[string]any{"iso_code": "LND"}},
	},
	"2001:db8::/32": map[string]any{"country": map[string]any{"iso_code": "FR"}}, // MaxMind Country
	"133.11.0.0/16": map[string]any{"country_code": "JP"},                        // flat country
	"8.8.8.0/24": map[string]any{ // flat city
		"country_code": "us", "state1": "California", "city": "Mountain View", "latitude": 37.4, "postcode": "94043",
	},
	"9.9.9.0/24":     map[string]any{"country": "CH", "region": "Zurich", "city": "Zürich", "region_code": "ZH"},                                  // IPinfo
	"10.1.0.0/16":    map[string]any{"country": "Germany", "country_code": "DE", "continent": "Europe"},                                           // IPinfo lite
	"11.0.0.0/8":     map[string]any{"country": map[string]any{"iso_code": "CA"}, "city": map[string]any{"geoname_id": uint32(6167865)}},          // no names
	"12.0.0.0/8":     map[string]any{"country_code": "-", "city": "-"},                                                                            // written nothing
	"13.0.0.0/8":     map[string]any{"country_code": "ZZ", "city": "Nowhere"},                                                                     //
	"14.0.0.0/8":     map[string]any{"country": []any{"BR", "AR"}, "city": true, "subdivisions": uint32(7), "region": []any{}},                    // strange
	"15.0.0.0/8":     map[string]any{"country_code": "SE", "city": strings.Repeat("å", 300)},                                                      // long
	"16.1.0.0/16":    map[string]any{"country": map[string]any{"iso_code": "US"}, "subdivisions": []any{map[string]any{"names": names("Texas")}}}, // DB-IP
	"203.0.0.0/16":   map[string]any{},
	"2a00:1450::/29": map[string]any{"country": map[string]any{"iso_code": "IE", "names": map[string]any{}}},
}

func open(t testing.TB, data []byte, log *slog.Logger) (*Finder, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "place.mmdb")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(Options{Path: path, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	return f, path
}

func TestEveryShapeOfDatabaseIsRead(t *testing.T) {
	for _, bits := range []int{24, 28, 32} {
		f, _ := open(t, mmdb(bits, "Test", shapes), slog.New(slog.DiscardHandler))
		for addr, want := range map[string]analytics.Place{
			"81.2.69.142":                {Country: "GB", Region: "GB-ENG", City: "London"},
			"::ffff:81.2.69.142":         {Country: "GB", Region: "GB-ENG", City: "London"},
			"2001:db8:1::5":              {Country: "FR"},
			"133.11.0.1":                 {Country: "JP"},
			"8.8.8.8":                    {Country: "US", Region: "California", City: "Mountain View"},
			"9.9.9.9":                    {Country: "CH", Region: "CH-ZH", City: "Zürich"},
			"10.1.2.3":                   {Country: "DE"},
			"11.2.3.4":                   {Country: "CA", City: "6167865"},
			"12.0.0.1":                   {},
			"13.0.0.1":                   {},
			"14.0.0.1":                   {Country: "BR"},
			"15.0.0.1":                   {Country: "SE", City: strings.Repeat("å", 128)},
			"16.1.2.3":                   {Country: "US", Region: "Texas"},
			"203.0.113.9":                {},
			"2a00:1450:4001:829::200e":   {Country: "IE"},
			"2a00:1450:4001:829::1%eth0": {Country: "IE"},
			"1.1.1.1":                    {},
			"127.0.0.1":                  {},
			"::1":                        {},
		} {
			for range 2 { // the second answer comes from the cache
				if got := f.Find(netip.MustParseAddr(addr)); got != want {
					t.Errorf("%d bits: %s is %+v, want %+v", bits, addr, got, want)
				}
			}
		}
		if got := f.Find(netip.Addr{}); got != (analytics.Place{}) {
			t.Errorf("the zero address is at %+v", got)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestABadFileIsRefusedWithItsName(t *testing.T) {
	good := mmdb(24, "Test", shapes)
	broken := bytes.Clone(good)
	for i := range broken[:len(broken)-400] {
		broken[i] = 0xff
	}
	for name, data := range map[string][]byte{
		"empty": {}, "text": []byte("this is not a database"), "cut": good[:len(good)/2], "head alone": good[len(good)-20:], "overwritten": broken,
	} {
		path := filepath.Join(t.TempDir(), "bad.mmdb")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(Options{Path: path, Logger: slog.New(slog.DiscardHandler)})
		if err == nil {
			f.Close()
			t.Errorf("%s: no error", name)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %q does not name the file", name, err)
		}
	}
	if _, err := Open(Options{Path: filepath.Join(t.TempDir(), "none.mmdb")}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("missing file: %v", err)
	}
}

// lines collects a log; slog serialises the writes of one handler.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), s)
}

func TestAChangedFileIsTakenUpAndABrokenOneIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		addr := netip.MustParseAddr("81.2.69.142")
		country := func(code string) []byte {
			return mmdb(24, "Test", map[string]any{"81.2.69.0/24": map[string]any{"country_code": code}})
		}
		var log lines
		f, path := open(t, country("GB"), slog.New(slog.NewTextHandler(&log, nil)))
		defer f.Close()
		// put replaces the file in place, with a time of its own; then the watcher's
		// next look happens in the bubble's time.
		put := func(data []byte, second int64) {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, time.Unix(second, 0), time.Unix(second, 0)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(11 * time.Second)
			synctest.Wait()
		}
		check := func(want string) {
			t.Helper()
			if got := f.Find(addr).Country; got != want {
				t.Errorf("country %q, want %q", got, want)
			}
		}
		check("GB")
		put(country("FR"), 1_000)
		check("FR")
		put(country("FR")[:200], 2_000)
		check("FR")
		time.Sleep(time.Minute)
		if n := log.count("not taken up"); n != 1 {
			t.Errorf("a broken file was reported %d times, want once:\n%s", n, log.text.String())
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Second)
		check("FR")
		put(country("DE"), 3_000)
		check("DE")
		if n := log.count("taken up\""); n != 2 {
			t.Errorf("%d new files reported, want 2:\n%s", n, log.text.String())
		}
		if log.count("81.2") != 0 {
			t.Error("the log holds an address")
		}
	})
}

func TestFindingAgainDoesNotAllocate(t *testing.T) {
	f, _ := open(t, mmdb(28, "Test", shapes), slog.New(slog.DiscardHandler))
	defer f.Close()
	for _, text := range []string{"81.2.69.142", "::ffff:81.2.69.142", "2001:db8::1", "1.1.1.1"} {
		addr := netip.MustParseAddr(text)
		f.Find(addr)
		if n := testing.AllocsPerRun(200, func() { f.Find(addr) }); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

// FuzzDatabase: whatever the file holds, the process neither ends nor hangs. Files
// are large for a fuzz input: run it with -fuzzminimizetime 1x.
func FuzzDatabase(f *testing.F) {
	f.Add(mmdb(24, "Test", shapes))
	f.Add(mmdb(28, "Test", map[string]any{"0.0.0.0/1": map[string]any{"country": []any{[]any{}}}}))
	f.Add([]byte("\xab\xcd\xefMaxMind.com"))
	finder := &Finder{records: 16}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		db, err := finder.parse(data, stamp{})
		if err != nil {
			return
		}
		finder.current.Store(db)
		p := finder.Find(netip.MustParseAddr("81.2.69.142"))
		if len(p.Country) > 2 || len(p.Region) > analytics.AttributeBytesMax || len(p.City) > analytics.AttributeBytesMax {
			t.Errorf("place %+v", p)
		}
	})
}

func BenchmarkFind(b *testing.B) {
	f, _ := open(b, mmdb(28, "Test", shapes), slog.New(slog.DiscardHandler))
	defer f.Close()
	addr := netip.MustParseAddr("81.2.69.142")
	b.ReportAllocs()
	for b.Loop() {
		f.Find(addr)
	}
}

func BenchmarkParse(b *testing.B) {
	data := mmdb(24, "Test", shapes)
	finder := &Finder{records: 16}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := finder.parse(data, stamp{}); err != nil {
			b.Fatal(err)
		}
	}
}
