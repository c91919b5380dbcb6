package logformat

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func compareWithOracle(t *testing.T, p *Parser, raw []byte) (ok bool) {
	t.Helper()
	before := bytes.Clone(raw)
	var l Line
	err := p.Parse(raw, &l)
	if !bytes.Equal(before, raw) {
		t.Fatalf("Parse changed its input\nwas %q\nis  %q", before, raw)
	}
	want, wantOK := oracle(string(raw), p.Zone)
	if (err == nil) != wantOK {
		t.Fatalf("line %q\ngot error %v, want accepted %v", raw, err, wantOK)
	}
	if err != nil {
		return false
	}
	got := oracleLine{string(l.Host), string(l.Method), string(l.Target), string(l.Referrer), string(l.Agent), l.HasAgent, l.Status, l.Time}
	if got != want {
		t.Fatalf("line %q\ngot  %+v\nwant %+v", raw, got, want)
	}
	return true
}

func TestParserAgreesWithTheRegexpOnWholeAndDamagedLines(t *testing.T) {
	const lines = 20_000
	r := rand.New(rand.NewPCG(1, 2))
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	parsers := []*Parser{{}, {Zone: berlin}}
	accepted, damaged, survived := 0, 0, 0
	for i := range lines {
		p := parsers[i%2]
		line := randomLine(r)
		if compareWithOracle(t, p, line) {
			accepted++
		}
		for range 1 + r.IntN(2) {
			line = damage(r, line)
		}
		damaged++
		if compareWithOracle(t, p, line) {
			survived++
		}
	}
	t.Logf("%d lines: %d whole ones accepted, %d of %d damaged ones still read", lines, accepted, survived, damaged)
	if accepted < lines/10 || survived == 0 || survived == damaged {
		t.Errorf("the generator is no test: %d accepted, %d of %d damaged ones survived", accepted, survived, damaged)
	}
}

func TestHugeLinesAreRead(t *testing.T) {
	agent := strings.Repeat("x", 1<<20)
	line := []byte(`10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "` + agent + `"`)
	var p Parser
	var l Line
	if err := p.Parse(line, &l); err != nil || len(l.Agent) != 1<<20 {
		t.Fatalf("1 MiB user agent: error %v, %d bytes", err, len(l.Agent))
	}
	if err := p.Parse(line[:len(line)-1], &l); err != ErrAgent {
		t.Fatalf("without its last quote: got %v, want %v", err, ErrAgent)
	}
}

func TestRejectionsNameTheField(t *testing.T) {
	const date = `[17/May/2015:10:05:03 +0000]`
	for _, c := range []struct {
		line string
		want error
	}{
		{``, ErrHost},
		{`hello`, ErrHost},
		{`10.0.0.1 - user name ` + date + ` "GET / HTTP/1.1" 200 1`, ErrDate},
		{`10.0.0.1 - - 17/May/2015:10:05:03 +0000 "GET / HTTP/1.1" 200 1`, ErrDate},
		{`10.0.0.1 - - [17/Mai/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1`, ErrDate},
		{`10.0.0.1 - - [17/May/2015:10:05:03] "GET / HTTP/1.1" 200 1`, ErrDate},
		{`10.0.0.1 - - ` + date + ` "-" 408 0`, ErrRequest},
		{`10.0.0.1 - - ` + date + ` "GET /a b HTTP/1.1" 200 1`, ErrRequest},
		{`10.0.0.1 - - ` + date + ` "GET /" 200 1`, ErrRequest},
		{`10.0.0.1 - - ` + date + ` "\x16\x03\x01" 400 0`, ErrRequest},
		{`10.0.0.1 - - ` + date + ` "GET / HTTP/1.1" 20 1`, ErrStatus},
		{`10.0.0.1 - - ` + date + ` "GET / HTTP/1.1" 200`, ErrStatus},
		{`10.0.0.1 - - ` + date + ` "GET / HTTP/1.1" 200 x`, ErrSize},
		{`10.0.0.1 - - ` + date + ` "GET / HTTP/1.1" 200 1 "http://a`, ErrReferrer},
		{`10.0.0.1 - - ` + date + ` "GET / HTTP/1.1" 200 1 "-"`, ErrAgent},
		{`10.0.0.1 - - ` + date + ` "GET / HTTP/1.1" 200 1 "-" "Moz`, ErrAgent},
		{`10.0.0.1 - - ` + date + ` "GET / HTTP/1.1" 200 1 "-" "Moz" 17`, ErrRest},
		{`10.0.0.1 - - ` + date + ` "GET / HTTP/1.1" 200 1 17`, ErrRest},
	} {
		var p Parser
		var l Line
		if err := p.Parse([]byte(c.line), &l); err != c.want {
			t.Errorf("%s\ngot  %v\nwant %v", c.line, err, c.want)
		}
	}
}

func TestPagesAreDecodedAndCut(t *testing.T) {
	for _, c := range []struct {
		target, page string
		skip         Skip
	}{
		{"/", "/", Counted},
		{"/a?b#c", "/a", Counted},
		{"/a#b?c", "/a", Counted},
		{"?x=1", "/", Counted},
		{"/blog/tags/jquery%20mobile", "/blog/tags/jquery mobile", Counted},
		{"/a%20%09%0A", "/a", Counted},
		{"/a%C2%A0", "/a", Counted}, // no-break space
		{"%20", "/", Counted},
		{"/%E4%BD%A0%E5%A5%BD", "/你好", Counted},
		{"/%E4%BD", "/\uFFFD", Counted},
		{"/%E4%BDx%FF%FE", "/\uFFFDx\uFFFD\uFFFD", Counted},
		{"/%F0%9F%98x", "/\uFFFDx", Counted},
		{"/%C0%AF", "/\uFFFD\uFFFD", Counted},
		{"/%ED%A0%80", "/\uFFFD\uFFFD\uFFFD", Counted},
		{"/ü%C3%BC%C3ü", "/üü\uFFFDü", Counted},
		{"/50%", "/50%", Counted},
		{"/%zz%4", "/%zz%4", Counted},
		{"/a+b", "/a+b", Counted},
		{"//x//y", "//x//y", Counted},
		{"*", "*", Counted},
		{"http://host/x", "http://host/x", Counted},
		{"/x.css", "/x.css", SkipAsset},
		{"/x.CsS?y=/", "/x.CsS", SkipAsset},
		{"/x%2ejs", "/x.js", SkipAsset},
		{"/.json", "/.json", SkipAsset},
		{"/a.css/b", "/a.css/b", Counted},
		{"/a.b.woff2", "/a.b.woff2", SkipAsset},
		{"/a.pdf%20", "/a.pdf", SkipAsset},
		{"/a.pdf.html", "/a.pdf.html", Counted},
		{"/a.", "/a.", Counted},
		{"/css", "/css", Counted},
		{"/a.jpegx", "/a.jpegx", Counted},
		{"/g\u0130f.g\u0130f", "/g\u0130f.g\u0130f", Counted},
	} {
		var p Parser
		page, skip := p.View(&Line{Method: []byte("GET"), Status: 200, Target: []byte(c.target)}, false)
		if string(page) != c.page || skip != c.skip {
			t.Errorf("%q: got %q %q, want %q %q", c.target, page, skip, c.page, c.skip)
		}
		if _, skip := p.View(&Line{Method: []byte("GET"), Status: 200, Target: []byte(c.target)}, true); skip != Counted {
			t.Errorf("%q with all paths: got %q, want it counted", c.target, skip)
		}
	}
}

func TestMethodAndStatusDecide(t *testing.T) {
	for _, c := range []struct {
		method string
		status int
		want   Skip
	}{
		{"GET", 199, SkipStatus}, {"GET", 200, Counted}, {"GET", 299, Counted}, {"GET", 300, SkipStatus},
		{"GET", 303, SkipStatus}, {"GET", 304, Counted}, {"GET", 305, SkipStatus}, {"GET", 404, SkipStatus},
		{"HEAD", 200, SkipMethod}, {"POST", 500, SkipMethod}, {"GETX", 200, SkipMethod},
	} {
		var p Parser
		_, got := p.View(&Line{Method: []byte(c.method), Status: c.status, Target: []byte("/")}, false)
		if got != c.want {
			t.Errorf("%s %d: got %q, want %q", c.method, c.status, got, c.want)
		}
	}
}

func TestQueryStandsBetweenQuestionMarkAndHash(t *testing.T) {
	for target, want := range map[string]string{"/": "", "/a?b=c#d": "b=c", "/a#b?c": "", "/a?b?c": "b?c", "/a?": ""} {
		if got := string(Query([]byte(target))); got != want {
			t.Errorf("%q: got %q, want %q", target, got, want)
		}
	}
}

func TestEscapesOfTheLogAreUndone(t *testing.T) {
	for text, want := range map[string]string{
		`plain`:            `plain`,
		`a \"b\" \\`:       `a "b" \`,
		`\xd0\xbf\xd1\x80`: `пр`,
		`\xe4`:             "\uFFFD",
		`\xg1\q\`:          `\xg1\q\`,
		`a\tb`:             `a b`,
	} {
		if got := string(AppendUnescaped([]byte("> "), []byte(text))); got != "> "+want {
			t.Errorf("%q: got %q, want %q", text, got, "> "+want)
		}
	}
}

func TestDatesWithoutOffsetAreReadInTheGivenZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	p := Parser{Zone: berlin}
	var l Line
	for date, want := range map[string]string{
		"17/May/2015:10:05:03":       "2015-05-17T08:05:03Z",
		"17/Jan/2015:10:05:03":       "2015-01-17T09:05:03Z",
		"17/Jan/2015:10:05:03 -0500": "2015-01-17T15:05:03Z",
	} {
		if err := p.Parse([]byte(`h - - [`+date+`] "GET / HTTP/1.1" 200 1`), &l); err != nil {
			t.Errorf("%s: %v", date, err)
			continue
		}
		if got := time.UnixMilli(l.Time).UTC().Format(time.RFC3339); got != want {
			t.Errorf("%s: got %s, want %s", date, got, want)
		}
	}
}

func TestParsingAllocatesNothing(t *testing.T) {
	line := []byte(`83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /a%20b/%E4%BD%A0?x=1 HTTP/1.1" 200 203023 "http://semicomplete.com/" "Mozilla/5.0"`)
	var p Parser
	var l Line
	p.View(&Line{Method: []byte("GET"), Status: 200, Target: []byte("/%41%41%41%41%41%41%41%41%41%41")}, false)
	n := testing.AllocsPerRun(100, func() {
		if err := p.Parse(line, &l); err != nil {
			t.Fatal(err)
		}
		if _, skip := p.View(&l, false); skip != Counted {
			t.Fatal(skip)
		}
	})
	if n != 0 {
		t.Errorf("got %v allocations a line, want 0", n)
	}
}

// The folder with a real log and its true counts lies beside the repository of
// those who have it.
func sharedData(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../../../shared/data")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "access.truth.json")); err != nil {
		t.Skip("the folder shared/data is not there")
	}
	return dir
}

func TestRealLogCountsAsItsTruth(t *testing.T) {
	dir := sharedData(t)
	type count struct {
		Lines         int            `json:"lines"`
		Rejected      int            `json:"rejected"`
		Skipped       map[string]int `json:"skipped"`
		Views         int            `json:"views"`
		ByDay         map[string]int `json:"by_day"`
		DistinctPages int            `json:"distinct_pages"`
		Top           [][2]any       `json:"by_page_top100"`
	}
	var truth struct {
		Pages count `json:"default_keep_bots"`
		All   count `json:"all_paths_keep_bots"`
	}
	text, err := os.ReadFile(filepath.Join(dir, "access.truth.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &truth); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, "access.log.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	if _, err := log.ReadFrom(z); err != nil {
		t.Fatal(err)
	}
	for _, allPaths := range []bool{false, true} {
		want := truth.Pages
		if allPaths {
			want = truth.All
		}
		got := count{Skipped: map[string]int{}, ByDay: map[string]int{}}
		pages := map[string]int{}
		var p Parser
		var l Line
		for line := range bytes.Lines(log.Bytes()) {
			got.Lines++
			if p.Parse(bytes.TrimSuffix(line, []byte("\n")), &l) != nil {
				got.Rejected++
				continue
			}
			page, skip := p.View(&l, allPaths)
			if skip != Counted {
				got.Skipped[string(skip)]++
				continue
			}
			got.Views++
			got.ByDay[time.UnixMilli(l.Time).UTC().Format(time.DateOnly)]++
			pages[string(page)]++
		}
		got.DistinctPages = len(pages)
		for _, row := range want.Top {
			if n := pages[row[0].(string)]; float64(n) != row[1].(float64) {
				t.Errorf("all paths %v: page %q: got %d, want %v", allPaths, row[0], n, row[1])
			}
		}
		want.Top = nil
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		if !bytes.Equal(a, b) {
			t.Errorf("all paths %v:\ngot  %s\nwant %s", allPaths, a, b)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 203023 "http://semicomplete.com/" "Mozilla/5.0"`))
	f.Add([]byte(`::1 - frank [ 7/may/2015:1:5:3 Z] "GET /a%20?b#c HTTP/2" 304 - `))
	f.Add([]byte("h - - [17/May/2015:10:05:03 +0530] \"GET /\xe4\xff HTTP/1.0\" \u0662\u0660\u0660 \u0663 \"\\\"\" \"\\\\\"\u3000"))
	f.Add([]byte(`h - - [17/May/2015:10:05:03] "GET http://x/ HTTP/1.1" 200 1`))
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		f.Add(damage(r, randomLine(r)))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, p := range []*Parser{{}, {Zone: time.UTC}} {
			if !compareWithOracle(t, p, raw) {
				continue
			}
			var l Line
			if err := p.Parse(raw, &l); err != nil {
				t.Fatal(err)
			}
			l.Method, l.Status = []byte("GET"), 200
			if page, _ := p.View(&l, true); len(page) == 0 {
				t.Fatalf("%q has an empty page", raw)
			}
		}
	})
}
