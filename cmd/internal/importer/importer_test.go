package importer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"footfall/cmd/internal/logformat"
)

// plainCount counts a log line by line, without batches, ids or a node.
func plainCount(log []byte, allPaths bool) (lines, views int64) {
	var p logformat.Parser
	var l logformat.Line
	for line := range bytes.Lines(log) {
		lines++
		if p.Parse(bytes.TrimRight(line, "\r\n"), &l) != nil {
			continue
		}
		if _, skip := p.View(&l, allPaths); skip == logformat.Counted {
			views++
		}
	}
	return lines, views
}

func TestImportTwiceChangesNothing(t *testing.T) {
	n := newTestNode(t)
	o, progress, _ := testOptions(t, n)
	log := logOf(1, 3000)
	path := writeFile(t, "access.log", log)
	lines, views := plainCount(log, false)

	first, err := Run(context.Background(), []string{path}, o)
	if err != nil {
		t.Fatal(err)
	}
	checkSum(t, first)
	if first.Lines != lines || first.Views != views || first.Duplicates != 0 || first.Rejected != 0 || first.RejectedFile != "" {
		t.Errorf("first: got %+v, want %d lines and %d views", first, lines, views)
	}
	if int64(len(n.kept())) != views {
		t.Errorf("the node counted %d, want %d", len(n.kept()), views)
	}
	if progress.lines != lines || progress.bytes != int64(len(log)) {
		t.Errorf("progress saw %d lines and %d bytes, want %d and %d", progress.lines, progress.bytes, lines, len(log))
	}

	second, err := Run(context.Background(), []string{path}, o)
	if err != nil {
		t.Fatal(err)
	}
	checkSum(t, second)
	if second.Views != 0 || second.Duplicates != views || int64(len(n.kept())) != views {
		t.Errorf("second: got %+v and %d events in the node, want %d duplicates", second, len(n.kept()), views)
	}
	if !reflect.DeepEqual(first.Dropped, second.Dropped) || first.Dropped["method"] == 0 || first.Dropped["status"] == 0 || first.Dropped["asset"] == 0 {
		t.Errorf("dropped: first %v, second %v", first.Dropped, second.Dropped)
	}
}

func TestSameLogInAnyWrappingHasTheSameIds(t *testing.T) {
	n := newTestNode(t)
	o, _, _ := testOptions(t, n)
	log := logOf(2, 500)
	_, views := plainCount(log, false)
	var gz, zst bytes.Buffer
	g := gzip.NewWriter(&gz)
	g.Write(log[:len(log)/2])
	g.Close()
	g.Reset(&gz) // a second member, as appended logs have
	g.Write(log[len(log)/2:])
	g.Close()
	z, err := zstd.NewWriter(&zst)
	if err != nil {
		t.Fatal(err)
	}
	z.Write(log)
	z.Close()
	crlf := bytes.ReplaceAll(log, []byte("\n"), []byte("\r\n"))
	cr := bytes.ReplaceAll(log, []byte("\n"), []byte("\r"))
	for i, c := range []struct {
		path  string
		stdin []byte
	}{
		{writeFile(t, "access.log", log), nil},
		{writeFile(t, "access.log.gz", gz.Bytes()), nil},
		{writeFile(t, "access.log.zst", zst.Bytes()), nil},
		{writeFile(t, "odd-name", gz.Bytes()), nil},
		{"-", log},
		{"-", zst.Bytes()},
		{writeFile(t, "crlf.log", crlf), nil},
		{writeFile(t, "cr.log", cr), nil},
		{writeFile(t, "no-last-newline.log", bytes.TrimSuffix(log, []byte("\n"))), nil},
	} {
		o.Stdin = bytes.NewReader(c.stdin)
		got, err := Run(context.Background(), []string{c.path}, o)
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		checkSum(t, got)
		want := views
		if i > 0 {
			want = 0
		}
		if got.Views != want || got.Views+got.Duplicates != views || got.Lines != 500 {
			t.Errorf("%s: got %+v, want %d views", c.path, got, want)
		}
	}
	if int64(len(n.kept())) != views {
		t.Errorf("the node counted %d, want %d", len(n.kept()), views)
	}
}

func TestGrownLogAddsOnlyWhatIsNew(t *testing.T) {
	n := newTestNode(t)
	o, _, _ := testOptions(t, n)
	log := logOf(3, 400)
	half := bytes.Index(log[len(log)/2:], []byte("\n")) + len(log)/2 + 1
	_, before := plainCount(log[:half], false)
	_, views := plainCount(log, false)
	if _, err := Run(context.Background(), []string{writeFile(t, "a", log[:half])}, o); err != nil {
		t.Fatal(err)
	}
	got, err := Run(context.Background(), []string{writeFile(t, "a", log)}, o)
	if err != nil {
		t.Fatal(err)
	}
	if got.Views != views-before || got.Duplicates != before {
		t.Errorf("got %+v, want %d new and %d known", got, views-before, before)
	}
	split, err := Run(context.Background(), []string{writeFile(t, "a", log[:half]), writeFile(t, "b", log[half:])}, o)
	if err != nil {
		t.Fatal(err)
	}
	if split.Views != 0 || split.Duplicates != views {
		t.Errorf("in two files: got %+v, want %d duplicates", split, views)
	}
}

func TestTroubleOnTheWayCountsNothingTwice(t *testing.T) {
	for name, fail := range map[string]func(int) string{
		"busy":          func(i int) string { return []string{"", "busy", "503", "429"}[i%4] },
		"lost answers":  func(i int) string { return []string{"", "lost"}[i%2] },
		"bad gateways":  func(i int) string { return []string{"502", "504", "408", "lost", ""}[i%5] },
		"rough weather": func(i int) string { return []string{"lost", "503", "", "busy", "lost", "", ""}[i%7] },
	} {
		n := newTestNode(t)
		n.fail = fail
		o, progress, clock := testOptions(t, n)
		log := logOf(4, 1500)
		_, views := plainCount(log, false)
		got, err := Run(context.Background(), []string{writeFile(t, "a", log)}, o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkSum(t, got)
		if int64(len(n.kept())) != views {
			t.Errorf("%s: the node counted %d, want %d", name, len(n.kept()), views)
		}
		if got.Views+got.Duplicates != views || got.Resent != got.Duplicates || got.Token == "" {
			t.Errorf("%s: got %+v, want %d views, the duplicates among them known as resent", name, got, views)
		}
		if len(progress.notices) == 0 || len(clock.waits) == 0 {
			t.Errorf("%s: no notice or no wait", name)
		}
	}
}

func TestRetryAfterIsKeptTo(t *testing.T) {
	n := newTestNode(t)
	n.fail = func(i int) string { return []string{"", "busy", "503", ""}[min(i, 3)] }
	o, _, clock := testOptions(t, n)
	if _, err := Run(context.Background(), []string{writeFile(t, "a", logOf(5, 10))}, o); err != nil {
		t.Fatal(err)
	}
	if len(clock.waits) != 2 || clock.waits[0].Seconds() != 3 || clock.waits[1].Seconds() != 0.5 {
		t.Errorf("waited %v, want 3s as asked and 500ms as the second step", clock.waits)
	}
}

func TestPatienceEnds(t *testing.T) {
	n := newTestNode(t)
	n.fail = func(i int) string {
		if i > 3 {
			return "503"
		}
		return ""
	}
	o, _, clock := testOptions(t, n)
	log := logOf(6, 2000)
	path := writeFile(t, "a", log)
	got, err := Run(context.Background(), []string{path}, o)
	if err == nil || !strings.Contains(err.Error(), "gave up after 1m0s: planned 503") {
		t.Fatalf("got %v", err)
	}
	checkSum(t, got)
	if got.Views != int64(len(n.kept())) || got.Views == 0 {
		t.Errorf("got %+v, the node has %d", got, len(n.kept()))
	}
	if waited := clock.Now().Unix(); waited > 60 || waited < 40 {
		t.Errorf("waited %d seconds of 60", waited)
	}
	n.fail = nil
	rest, err := Run(context.Background(), []string{path}, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, views := plainCount(log, false); got.Views+rest.Views != views || rest.Duplicates != got.Views {
		t.Errorf("going on: first %+v then %+v, want %d in all", got, rest, views)
	}
}

func TestRefusalEndsTheImportAtOnce(t *testing.T) {
	for _, status := range []string{"400", "401", "403", "404", "413", "500"} {
		n := newTestNode(t)
		n.fail = func(int) string { return status }
		o, _, clock := testOptions(t, n)
		got, err := Run(context.Background(), []string{writeFile(t, "a", logOf(7, 1000))}, o)
		if err == nil || !strings.Contains(err.Error(), "planned "+status) || !strings.Contains(err.Error(), "lines 1 to") {
			t.Errorf("%s: got %v", status, err)
		}
		checkSum(t, got)
		if n.asked() != 1 || len(clock.waits) != 0 {
			t.Errorf("%s: %d requests and %d waits, want it to end with the first", status, n.asked(), len(clock.waits))
		}
	}
}

func TestUnknownSiteEndsTheImport(t *testing.T) {
	for reason, want := range map[string]string{"unknown_site": "knows no site example.com", "site: not allowed": "site: not allowed"} {
		n := newTestNode(t)
		n.judge = func(stored) string { return reason }
		o, _, _ := testOptions(t, n)
		got, err := Run(context.Background(), []string{writeFile(t, "a", logOf(7, 300))}, o)
		if err == nil || !strings.Contains(err.Error(), want) || got.Lines != 0 {
			t.Errorf("%s: got %+v %v", reason, got, err)
		}
	}
}

func TestReasonsOfTheNodeAreCountedAndBrokenEventsListed(t *testing.T) {
	n := newTestNode(t)
	n.judge = func(e stored) string {
		switch {
		case e.Page == "/page/0":
			return "bot"
		case e.Page == "/page/1":
			return "events[3].url: is not to my taste"
		}
		return ""
	}
	o, _, _ := testOptions(t, n)
	o.BatchSize = 7
	log := logOf(8, 300)
	got, err := Run(context.Background(), []string{writeFile(t, "a", log)}, o)
	if err != nil {
		t.Fatal(err)
	}
	checkSum(t, got)
	if got.Dropped["bot"] == 0 || got.Rejected == 0 || got.Views != int64(len(n.kept())) {
		t.Errorf("got %+v, the node has %d", got, len(n.kept()))
	}
	text := readAllOf(t, got.RejectedFile)
	if int64(strings.Count(text, "\turl: is not to my taste\t10.0.0.")) != got.Rejected {
		t.Errorf("%d rejected, but the file says\n%s", got.Rejected, text)
	}
}

func TestRejectedLinesAreListedInOrderWithTheirNumbers(t *testing.T) {
	n := newTestNode(t)
	n.judge = func(e stored) string {
		if e.Page == "/refused" {
			return "page: refused"
		}
		return ""
	}
	o, _, _ := testOptions(t, n)
	line := func(page string) string {
		return `10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET ` + page + ` HTTP/1.1" 200 1 "-" "Mozilla/5.0"` + "\n"
	}
	a := writeFile(t, "a.log", []byte(line("/")+"rubbish\n"+line("/refused")+"\n"+"\x00\x00\xff\n"))
	b := writeFile(t, "b.log", []byte(line("/x")+"10.0.0.1 - - [bad] \"GET / HTTP/1.1\" 200 1\n"))
	got, err := Run(context.Background(), []string{a, b}, o)
	if err != nil {
		t.Fatal(err)
	}
	checkSum(t, got)
	want := fmt.Sprintf("%[1]s:2\t%[3]v\trubbish\n%[1]s:3\tpage: refused\t%[4]s%[1]s:4\t%[3]v\t\n%[1]s:5\t%[3]v\t\x00\x00\xff\n%[2]s:2\t%[5]v\t10.0.0.1 - - [bad] \"GET / HTTP/1.1\" 200 1\n",
		a, b, logformat.ErrHost, line("/refused"), logformat.ErrDate)
	if text := readAllOf(t, got.RejectedFile); text != want {
		t.Errorf("got\n%q\nwant\n%q", text, want)
	}
	if info, err := os.Stat(got.RejectedFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v %v, want 0600: it holds addresses", info.Mode(), err)
	}
	if got.Rejected != 5 || got.Views != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestRejectedFileLiesBesideTheLogUnlessNamed(t *testing.T) {
	n := newTestNode(t)
	o, _, _ := testOptions(t, n)
	o.Rejected = ""
	path := writeFile(t, "a.log", []byte("rubbish\n"))
	got, err := Run(context.Background(), []string{path}, o)
	if err != nil || got.RejectedFile != path+".rejected" {
		t.Errorf("got %q %v, want %s.rejected", got.RejectedFile, err, path)
	}
	t.Chdir(t.TempDir())
	o.Stdin = strings.NewReader("rubbish\n")
	got, err = Run(context.Background(), []string{"-"}, o)
	if err != nil || got.RejectedFile != "stdin.rejected" {
		t.Errorf("standard input: got %q %v", got.RejectedFile, err)
	}
	gone := filepath.Join(t.TempDir(), "gone")
	o.Rejected = filepath.Join(gone, "x")
	if _, err = Run(context.Background(), []string{path}, o); err == nil || !strings.Contains(err.Error(), "--rejected") {
		t.Errorf("impossible place: got %v", err)
	}
}

func TestFileThatEndsEarlyIsAnErrorAfterWhatWasWhole(t *testing.T) {
	log := logOf(9, 2000)
	var gz bytes.Buffer
	g := gzip.NewWriter(&gz)
	g.Write(log)
	g.Close()
	n := newTestNode(t)
	o, _, _ := testOptions(t, n)
	got, err := Run(context.Background(), []string{writeFile(t, "a.gz", gz.Bytes()[:gz.Len()/2])}, o)
	if err == nil || !strings.Contains(err.Error(), "a.gz after line") {
		t.Errorf("got %v", err)
	}
	checkSum(t, got)
	if got.Views == 0 || got.Rejected != 0 || got.Views != int64(len(n.kept())) {
		t.Errorf("got %+v, the node has %d: want the whole lines counted and no half line judged", got, len(n.kept()))
	}
	for _, path := range []string{filepath.Join(t.TempDir(), "missing"), t.TempDir()} {
		if _, err := Run(context.Background(), []string{path}, o); err == nil || !strings.HasPrefix(err.Error(), "file: ") {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

func TestEndedContextEndsTheImport(t *testing.T) {
	n := newTestNode(t)
	ctx, cancel := context.WithCancel(context.Background())
	n.fail = func(i int) string {
		if i == 3 {
			cancel()
			return "503"
		}
		return ""
	}
	o, _, _ := testOptions(t, n)
	got, err := Run(ctx, []string{writeFile(t, "a", logOf(10, 3000))}, o)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	checkSum(t, got)
	if got.Lines == 0 || got.Lines == 3000 {
		t.Errorf("got %+v, want a part", got)
	}
}

func TestEventsSayWhatTheLineSays(t *testing.T) {
	at := `[17/May/2015:23:59:59 +0200]`
	long := "/" + strings.Repeat("ü", 1500)
	for _, c := range []struct {
		line   string
		format Format
		keep   bool
		want   stored
	}{
		{`83.149.9.216 - - ` + at + ` "GET /a%20b?utm_source=x&y=%zz HTTP/1.1" 200 1 "https://www.google.com/?q=\"x\"" "Mozilla \\x"`, Combined, false,
			stored{URL: "https://example.com/a%20b?utm_source=x&y=%zz", Page: "/a b", Referrer: `https://www.google.com/?q="x"`, IP: "83.149.9.216", UserAgent: `Mozilla \x`}},
		{`2001:DB8::1 - - ` + at + ` "GET / HTTP/1.1" 200 1 "-" "-"`, Combined, false,
			stored{URL: "https://example.com/", Page: "/", IP: "2001:db8::1"}},
		{`::ffff:1.2.3.4 - - ` + at + ` "GET //a HTTP/1.1" 200 1 "-" "Bot"`, Combined, true,
			stored{URL: "https://example.com//a", Page: "//a", IP: "1.2.3.4", UserAgent: "Bot", KeepBots: true}},
		{`1.2.3.4 - - ` + at + ` "GET http://host/x HTTP/1.1" 200 1`, Common, false,
			stored{URL: "https://example.com/http://host/x", Page: "http://host/x", IP: "1.2.3.4", KeepBots: true}},
		{`1.2.3.4 - - ` + at + ` "GET * HTTP/1.1" 200 1 "-" "A"`, Combined, false,
			stored{URL: "https://example.com/*", Page: "*", IP: "1.2.3.4", UserAgent: "A"}},
		{`1.2.3.4 - - ` + at + " \"GET /\xff%FF\"<> HTTP/1.1\" 200 1 \"-\" \"A\xfe\tB\"", Combined, false,
			stored{URL: "https://example.com/%EF%BF%BD%EF%BF%BD%22%3C%3E", Page: "/\uFFFD\uFFFD\"<>", IP: "1.2.3.4", UserAgent: "A\uFFFD\tB"}},
		{`1.2.3.4 - - ` + at + ` "GET ` + long + `?a=1&b=2 HTTP/1.1" 200 1 "http://r/` + strings.Repeat("r", 3000) + `" "A"`, Combined, false,
			stored{URL: "https://example.com/?a=1&b=2", Page: long[:1999], Referrer: "http://r/" + strings.Repeat("r", 1991), IP: "1.2.3.4", UserAgent: "A"}},
		{`1.2.3.4 - - ` + at + ` "GET /x?a=1&` + strings.Repeat("b", 2000) + ` HTTP/1.1" 200 1 "-" "` + strings.Repeat("A", 3000) + `"`, Combined, false,
			stored{URL: "https://example.com/x?a=1", Page: "/x", IP: "1.2.3.4", UserAgent: strings.Repeat("A", 1000)}},
		{`1.2.3.4 - - ` + at + ` "GET /x?` + strings.Repeat("b", 3000) + ` HTTP/1.1" 200 1 "-" "A"`, Combined, false,
			stored{URL: "https://example.com/x", Page: "/x", IP: "1.2.3.4", UserAgent: "A"}},
	} {
		n := newTestNode(t)
		o, _, _ := testOptions(t, n)
		o.Format, o.KeepBots = c.format, c.keep
		if _, err := Run(context.Background(), []string{writeFile(t, "a", []byte(c.line+"\n"))}, o); err != nil || len(n.kept()) != 1 {
			t.Errorf("%.200s: %d events, %v", c.line, len(n.kept()), err)
			continue
		}
		got := n.kept()[0]
		if len(got.ID) != 32 {
			t.Errorf("%.200s: id %q is not 128 bits", c.line, got.ID)
		}
		c.want.ID, c.want.Timestamp, c.want.Site, c.want.Name = got.ID, "2015-05-17T21:59:59Z", "example.com", "pageview"
		if got != c.want {
			t.Errorf("%.200s:\ngot  %+v\nwant %+v", c.line, got, c.want)
		}
	}
}

func TestHostNamesAreVisitorsOfADay(t *testing.T) {
	n := newTestNode(t)
	o, _, _ := testOptions(t, n)
	line := func(host, day, agent string) string {
		return host + ` - - [` + day + `/May/2015:10:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "` + agent + `"` + "\n"
	}
	log := line("a.example.net", "17", "A") + line("a.example.net", "17", "A") + line("a.example.net", "18", "A") +
		line("b.example.net", "17", "A") + line("a.example.net", "17", "B")
	got, err := Run(context.Background(), []string{writeFile(t, "a", []byte(log))}, o)
	if err != nil || got.Views != 5 {
		t.Fatalf("got %+v %v", got, err)
	}
	distinct := map[string]bool{}
	for _, e := range n.kept() {
		if e.IP != "" || strings.Contains(e.Visitor, "example") || len(e.Visitor) != 32 {
			t.Errorf("got %+v, want a visitor that does not show the host", e)
		}
		distinct[e.Visitor] = true
	}
	if n.kept()[0].Visitor != n.kept()[1].Visitor || len(distinct) != 4 {
		t.Errorf("%d visitors, want 4, the first two lines the same", len(distinct))
	}
}

func TestEventsOfNDJSONPassAsTheyAre(t *testing.T) {
	n := newTestNode(t)
	o, _, _ := testOptions(t, n)
	o.Format = NDJSON
	log := `{"timestamp":"2020-01-01T00:00:00Z","name":"pageview","url":"https://example.com/a"}
{"id":"mine","timestamp":"2020-01-01T00:00:00Z","name":"signup","site":"WWW.example.com","url":"https://example.com/b"}

{"timestamp":"2020-01-01T00:00:00Z","url":"https://example.com/c" } ` + `
{"timestamp":"2020-01-01T00:00:00Z","name":"pageview","url":"https://example.com/a"}
{"name":"pageview","url":"https://example.com/d"}
{"timestamp":"2020-01-01T00:00:00Z","site":"other.example"}
[1]
{"timestamp":
"text"
{}
`
	path := writeFile(t, "a.ndjson", []byte(log))
	got, err := Run(context.Background(), []string{path}, o)
	if err != nil {
		t.Fatal(err)
	}
	checkSum(t, got)
	if got.Views != 3 || got.Events != 1 || got.Dropped["blank"] != 1 || got.Rejected != 6 || got.Lines != 11 {
		t.Errorf("got %+v", got)
	}
	text := readAllOf(t, got.RejectedFile)
	for _, want := range []string{":6\ttimestamp: is missing", `:7` + "\t" + `site: "other.example"`, ":8\tline: not a JSON object", ":9\tline: unexpected end", ":10\tline: not", ":11\ttimestamp"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if n.kept()[1].ID != "mine" || n.kept()[0].Site != "example.com" || n.kept()[0].ID == n.kept()[3].ID {
		t.Errorf("got %+v", n.kept())
	}
	again, err := Run(context.Background(), []string{path}, o)
	if err != nil || again.Views != 0 || again.Events != 0 || again.Duplicates != 4 {
		t.Errorf("again: got %+v %v", again, err)
	}
}

// A few thousand damaged lines: whatever stands in them, nothing breaks, every
// line is accounted for, and a second import changes nothing.
func TestDamagedLogIsAccountedFor(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	var log bytes.Buffer
	for line := range bytes.Lines(logOf(11, 5000)) {
		b := bytes.Clone(line)
		switch r.IntN(8) {
		case 0:
			b = append(b[:r.IntN(len(b))], '\n')
		case 1:
			b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		case 2:
			b = bytes.Replace(b, []byte(`"`), nil, 1)
		case 3:
			for i := r.IntN(len(b)); i < len(b)-1; i++ {
				b[i] = 0
			}
		case 4:
			b = bytes.Replace(b, []byte("/May/"), []byte("/Mai/"), 1)
		case 5:
			b = append(bytes.TrimSuffix(b, []byte("\n")), "\r\n"...)
		}
		log.Write(b)
	}
	log.WriteString(strings.Repeat("x", 1<<20) + "\n")
	log.WriteString(`1.2.3.4 - - [17/May/2015:10:00:00 +0000] "GET /huge HTTP/1.1" 200 1 "-" "` + strings.Repeat("x", 1<<20) + "\"\n")
	log.WriteString(`1.2.3.4 - - [17/May/2015:10:00:00 +0000] "GET /tail`)
	path := writeFile(t, "damaged.log", log.Bytes())
	n := newTestNode(t)
	o, _, _ := testOptions(t, n)
	first, err := Run(context.Background(), []string{path}, o)
	if err != nil {
		t.Fatal(err)
	}
	checkSum(t, first)
	if first.Views != int64(len(n.kept())) || first.Views < 500 || first.Rejected < 500 {
		t.Errorf("got %+v, the node has %d", first, len(n.kept()))
	}
	second, err := Run(context.Background(), []string{path}, o)
	if err != nil {
		t.Fatal(err)
	}
	if second.Views != 0 || second.Duplicates != first.Views || second.Lines != first.Lines || second.Rejected != first.Rejected {
		t.Errorf("first %+v\nsecond %+v", first, second)
	}
}

func TestWhatIsWrongNamesNoPlaceInABatch(t *testing.T) {
	for reason, want := range map[string]string{
		"events[12].timestamp: is before 1995": "timestamp: is before 1995",
		"events[0]: must be an object":         "must be an object",
		"url: is required":                     "url: is required",
		"events[x]":                            "events[x]",
		"events[12":                            "events[12",
		"":                                     "",
	} {
		if got := plainReason(reason); got != want {
			t.Errorf("%q: got %q, want %q", reason, got, want)
		}
	}
}

// A log with an empty user agent tells a bot; a log without user agents tells
// nothing.
func TestEmptyUserAgentIsSentAsSuch(t *testing.T) {
	n := newTestNode(t)
	o, _, _ := testOptions(t, n)
	var bodies []string
	o.Node = sendFunc(func(ctx context.Context, method, path string, header http.Header, body []byte) ([]byte, error) {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(z)
		bodies = append(bodies, string(text))
		return []byte(`{"results":[{"status":"accepted"}]}`), err
	})
	for i, line := range []string{`"-" "-"`, ``} {
		if _, err := Run(context.Background(), []string{writeFile(t, "a", []byte(`1.2.3.4 - - [17/May/2015:10:00:00 +0000] "GET / HTTP/1.1" 200 1 `+line+"\n"))}, o); err != nil {
			t.Fatal(err)
		}
		if has, keep := strings.Contains(bodies[i], `"user_agent":""`), strings.Contains(bodies[i], `"keep_bots":true`); has != (i == 0) || keep != (i == 1) {
			t.Errorf("%q: sent %s", line, bodies[i])
		}
	}
}

type sendFunc func(ctx context.Context, method, path string, header http.Header, body []byte) ([]byte, error)

func (f sendFunc) Send(ctx context.Context, method, path string, header http.Header, body []byte) ([]byte, error) {
	return f(ctx, method, path, header, body)
}

func TestEventsThatCannotBeRecordedNowAreSentAgain(t *testing.T) {
	n := newTestNode(t)
	refuse := 3
	n.judge = func(e stored) string {
		if e.Page == "/page/2" && refuse > 0 {
			refuse--
			return "unavailable: send it again"
		}
		return ""
	}
	o, _, clock := testOptions(t, n)
	log := logOf(12, 200)
	_, views := plainCount(log, false)
	got, err := Run(context.Background(), []string{writeFile(t, "a", log)}, o)
	if err != nil {
		t.Fatal(err)
	}
	checkSum(t, got)
	if int64(len(n.kept())) != views || got.Rejected != 0 || got.Views+got.Resent != views || len(clock.waits) == 0 {
		t.Errorf("got %+v, the node has %d, want %d", got, len(n.kept()), views)
	}
}

func TestResultAsJSON(t *testing.T) {
	got, err := json.Marshal(Result{Lines: 5, Views: 1, Duplicates: 1, Dropped: map[string]int64{"asset": 2}, Rejected: 1, RejectedFile: "x"})
	want := `{"lines":5,"views":1,"duplicates":1,"dropped":{"asset":2},"rejected":1,"rejected_file":"x"}`
	if err != nil || string(got) != want {
		t.Errorf("got %s %v\nwant %s", got, err, want)
	}
}

func TestWrongCallsAreRefused(t *testing.T) {
	n := newTestNode(t)
	o, _, _ := testOptions(t, n)
	if _, err := Run(context.Background(), nil, o); err == nil || !strings.HasPrefix(err.Error(), "file:") {
		t.Errorf("no file: got %v", err)
	}
	o.Format = "csv"
	if _, err := Run(context.Background(), []string{"-"}, o); err == nil || !strings.HasPrefix(err.Error(), "format:") {
		t.Errorf("wrong format: got %v", err)
	}
}
