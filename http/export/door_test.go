package export

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/query"
	"footfall/http/door"
)

// rowsOf answers every question with the same rows.
func rowsOf(rows ...query.Row) scene {
	return scene{index: 77, ask: func(context.Context, *query.Question) (*query.Answer, error) {
		return &query.Answer{Rows: rows, TotalRows: len(rows), Index: 77}, nil
	}}
}

var sampleRows = []query.Row{
	{Dims: []string{"Google", "/a,b"}, Values: []query.Value{{Number: 12}, {Number: 33.333333}, {Number: 1234.5, Currency: "EUR"}}},
	{Dims: []string{"=cmd", "Direct / None"}, Values: []query.Value{{Number: 3}, {Null: true}, {Null: true}}},
}

const sampleQuery = `{"date_range":["2026-05-01","2026-05-31"],"metrics":["visitors","percentage","total_revenue"],"dimensions":["visit:source","event:page"]}`

func TestTheRowsOfAQueryInEveryFormat(t *testing.T) {
	w := newWorld(t, looking(rowsOf(sampleRows...)))
	const target = "/v1/sites/shop.example/export/query?format="
	got := w.call("member", "POST", target+"csv", sampleQuery)
	want := "visit:source,event:page,visitors,percentage,total_revenue,total_revenue_currency\r\n" +
		"Google,\"/a,b\",12,33.33,1234.5,EUR\r\n'=cmd,Direct / None,3,,,\r\n"
	if got.status != 200 || got.err != nil || string(got.body) != want {
		t.Errorf("%d %v %q, want %q", got.status, got.err, got.body, want)
	}
	for name, value := range map[string]string{"X-Footfall-Index": "77", "Content-Type": "text/csv; charset=utf-8; header=present", "X-RateLimit-Limit": "600",
		"Content-Disposition": `attachment; filename="shop.example-query-2026-05-01-2026-05-31.csv"`, "Cache-Control": "no-store"} {
		if got.header.Get(name) != value {
			t.Errorf("%s: %q, want %q", name, got.header.Get(name), value)
		}
	}
	if got.trailer.Get("X-Footfall-Complete") != "true" || got.trailer.Get("X-Footfall-Rows") != "2" {
		t.Errorf("trailers %v", got.trailer)
	}
	got = w.call("member", "POST", target+"ndjson", sampleQuery)
	want = `{"visit:source":"Google","event:page":"/a,b","visitors":12,"percentage":33.33,"total_revenue":1234.5,"total_revenue_currency":"EUR"}` + "\n" +
		`{"visit:source":"=cmd","event:page":"Direct / None","visitors":3,"percentage":null,"total_revenue":null,"total_revenue_currency":null}` + "\n"
	if string(got.body) != want || got.header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("%s %q", got.header, got.body)
	}
	got = w.call("member", "POST", target+"parquet", sampleQuery)
	file, names, rows := readParquet(t, got.body)
	if strings.Join(names, " ") != "visit:source event:page visitors percentage total_revenue total_revenue_currency" || len(rows) != 2 {
		t.Fatalf("%v %v", names, rows)
	}
	if r := rows[0]; r["visit:source"] != "Google" || r["visitors"] != int64(12) || r["percentage"] != 33.33 || r["total_revenue_currency"] != "EUR" ||
		binary.BigEndian.Uint64([]byte(r["total_revenue"].(string))[1:]) != 1_234_500_000 {
		t.Errorf("%v", r)
	}
	if r := rows[1]; r["visit:source"] != "=cmd" || r["percentage"] != nil || r["total_revenue"] != nil {
		t.Errorf("%v", r)
	}
	for key, value := range map[string]string{"footfall.as_of": "77", "footfall.site": "shop.example", "footfall.from": "2026-04-30T22:00:00Z", "footfall.to": "2026-05-31T22:00:00Z"} {
		if v, _ := file.Lookup(key); v != value {
			t.Errorf("%s: %q, want %q", key, v, value)
		}
	}
}

func TestRawLeavesFormulasAlone(t *testing.T) {
	w := newWorld(t, looking(rowsOf(sampleRows...)))
	got := w.call("member", "POST", "/v1/sites/shop.example/export/query?raw=1", sampleQuery)
	if !strings.Contains(string(got.body), "\r\n=cmd,") {
		t.Errorf("%q", got.body)
	}
}

func TestParametersSayTheSameAsABody(t *testing.T) {
	w := newWorld(t, looking(rowsOf()))
	p := url.Values{"date_range": {"2026-05-01,2026-05-31"}, "metrics": {"visitors, percentage,total_revenue"}, "dimensions": {`["visit:source","event:page"]`},
		"filters": {`[["is","event:page",["/a"]]]`}, "order_by": {`[["visitors","asc"]]`}, "limit": {"10"}, "offset": {"3"}}
	got := w.get("/v1/sites/shop.example/export/query?" + p.Encode())
	if got.status != 200 || len(w.dialect.asked) != 1 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	body, err := json.Marshal(w.dialect.asked[0])
	if err != nil {
		t.Fatal(err)
	}
	want := `{"date_range":["2026-05-01","2026-05-31"],"dimensions":["visit:source","event:page"],"filters":[["is","event:page",["/a"]]],` +
		`"metrics":["visitors","percentage","total_revenue"],"order_by":[["visitors","asc"]],"pagination":{"limit":10,"offset":3},"site_id":"shop.example"}`
	if string(body) != want {
		t.Errorf("asked %s\nwant %s", body, want)
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	w := newWorld(t, looking(scene{ask: rowsOf().ask, scan: func(context.Context, int64, int64, *query.Filter, func(query.Visit, []int) error) error { return nil }}))
	for _, c := range []struct {
		who, method, target, body string
		status                    int
		text                      string
	}{
		{"member", "GET", "query?format=xml&metrics=visitors&date_range=day", "", 400, "format: must be csv, ndjson or parquet"},
		{"member", "GET", "query?metrics=visitors&date_range=day&raw=maybe", "", 400, "raw: must be 1 or 0"},
		{"member", "GET", "query?metrics=visitors&date_range=day&filter=x", "", 400, "filter: there is no such parameter here"},
		{"member", "GET", "query?metrics=visitors&date_range=day&filters=[", "", 400, "filters: must be JSON"},
		{"member", "GET", "query?metrics=visitors&date_range=day&limit=ten", "", 400, "limit: must be a whole number"},
		{"member", "GET", "query?metrics=[&date_range=day", "", 400, "metrics: must be names"},
		{"member", "GET", "query?date_range=day", "", 400, "#/metrics"},
		{"member", "GET", "query?metrics=visitors&date_range=century", "", 400, "date_range"},
		{"member", "GET", "query?metrics=visitors&date_range=day&token=x", "", 400, "token"},
		{"member", "POST", "query", `[1]`, 400, "#: Invalid JSON"},
		{"member", "POST", "query", `{"a":1} x`, 400, "#: Invalid JSON"},
		{"member", "POST", "query?metrics=visitors", sampleQuery, 400, "metrics: there is no such parameter here"},
		{"member", "POST", "query", `{"site_id":"other.example"}`, 400, "#/site_id"},
		{"member", "POST", "query", `{"include":{"comparisons":{"mode":"previous_period"}}}`, 400, "#/include/comparisons"},
		{"member", "GET", "events", "", 400, "date_range"},
		{"member", "GET", "events?date_range=day&filters={}", "", 400, "filters"},
		{"member", "GET", "events?date_range=day&metrics=visitors", "", 400, "metrics: there is no such parameter here"},
		{"", "GET", "events?date_range=day", "", 401, ""},
		{"stranger", "GET", "events?date_range=day", "", 401, ""},
		{"stranger", "POST", "query", sampleQuery, 401, ""},
		{"member", "GET", "events?date_range=day", "", 200, ""},
		{"key", "GET", "events?date_range=day", "", 200, ""},
		{"operator", "GET", "events?date_range=day", "", 200, ""},
	} {
		got := w.call(c.who, c.method, "/v1/sites/shop.example/export/"+c.target, c.body)
		if got.status != c.status || !strings.Contains(string(got.body), c.text) {
			t.Errorf("%s %s %s: %d %s, want %d %s", c.method, c.target, c.body, got.status, got.body, c.status, c.text)
		}
	}
}

// TestPublicNumbersAreNotPublicEvents: anyone may export what anyone may see,
// which single events are not.
func TestPublicNumbersAreNotPublicEvents(t *testing.T) {
	w := newWorld(t, looking(rowsOf(sampleRows...)))
	for _, who := range []string{"", "stranger", "member"} {
		if got := w.call(who, "POST", "/v1/sites/public.example/export/query", sampleQuery); got.status != 200 {
			t.Errorf("%s: numbers: %d %s", who, got.status, got.body)
		}
		if got := w.call(who, "GET", "/v1/sites/public.example/export/events?date_range=day", ""); got.status != 403 {
			t.Errorf("%s: events: %d %s", who, got.status, got.body)
		}
	}
}

func TestAnExportThatFailsAtOnceHasAStatus(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{
		{analytics.Errorf(analytics.TooLarge, "dimensions: too many rows"), 413},
		{analytics.Errorf(analytics.Unavailable, "no leader"), 503},
		{fmt.Errorf("ask: %w", context.DeadlineExceeded), 503},
		{errors.New("disk on fire"), 500},
	} {
		w := newWorld(t, looking(scene{ask: func(context.Context, *query.Question) (*query.Answer, error) { return nil, c.err }}))
		got := w.call("member", "POST", "/v1/sites/shop.example/export/query", sampleQuery)
		if got.status != c.status || !json.Valid(got.body) || got.header.Get("Content-Disposition") != "" {
			t.Errorf("%v: %d %s %v", c.err, got.status, got.body, got.header)
		}
		if c.status == 503 && got.header.Get("Retry-After") == "" {
			t.Errorf("%v: no Retry-After", c.err)
		}
		if n := w.door.slots.running(); n != 0 {
			t.Errorf("%v: %d exports still run", c.err, n)
		}
	}
}

// TestAnExportThatBreaksOffDoesNotLookWhole, whether by an error or a panic.
func TestAnExportThatBreaksOffDoesNotLookWhole(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("block 17 is damaged") },
		"panic": func() error { panic("block 17 is damaged") },
	} {
		for _, form := range []string{"csv", "ndjson", "parquet"} {
			s := scene{index: 5, scan: func(ctx context.Context, from, to int64, f *query.Filter, fn func(query.Visit, []int) error) error {
				if err := synthetic(20_000)(ctx, from, to, f, fn); err != nil {
					return err
				}
				return fail()
			}}
			w := newWorld(t, looking(s))
			got := w.get("/v1/sites/shop.example/export/events?date_range=day&format=" + form)
			if got.status != 200 || !errors.Is(got.err, io.ErrUnexpectedEOF) || len(got.trailer.Get("X-Footfall-Complete")) != 0 {
				t.Errorf("%s, %s: status %d, read error %v, trailers %v", form, name, got.status, got.err, got.trailer)
			}
			if text := w.log.String(); !strings.Contains(text, "block 17 is damaged") || !strings.Contains(text, "kind=events") {
				t.Errorf("%s, %s: the log says %q", form, name, text)
			}
		}
	}
}

func TestGzipIfAccepted(t *testing.T) {
	w := newWorld(t, looking(rowsOf(sampleRows...)))
	for header, zipped := range map[string]bool{"": false, "gzip": true, "br, gzip;q=0.5": true, "gzip;q=0, *": false, "*": true, "identity": false, "GZIP": true, "gzip;q=x": false} {
		req := w.request("member", "POST", "/v1/sites/shop.example/export/query", sampleQuery)
		if req.Header.Set("Accept-Encoding", header); header == "" {
			req.Header.Set("Accept-Encoding", "identity")
		}
		got := w.send(req, sampleQuery)
		if is := got.header.Get("Content-Encoding") == "gzip"; is != zipped || got.header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: gzip %v, want %v; %v", header, is, zipped, got.header)
			continue
		}
		body := got.body
		if zipped {
			zr, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(zr); err != nil {
				t.Errorf("%q: %v", header, err)
			}
		}
		if !strings.HasPrefix(string(body), "visit:source,") || got.trailer.Get("X-Footfall-Rows") != "2" {
			t.Errorf("%q: %q %v", header, body, got.trailer)
		}
	}
	req := w.request("member", "POST", "/v1/sites/shop.example/export/query?format=parquet", sampleQuery)
	req.Header.Set("Accept-Encoding", "gzip")
	if got := w.send(req, sampleQuery); got.header.Get("Content-Encoding") != "" {
		t.Error("Parquet is compressed in itself")
	}
}

func TestHeadTellsOfTheFileAndMakesNone(t *testing.T) {
	looked := false
	w := newWorld(t, lookerFunc(func(context.Context, analytics.SiteID, analytics.Token, func(context.Context, State) error) error {
		looked = true
		return nil
	}))
	got := w.call("member", "HEAD", "/v1/sites/shop.example/export/events?date_range=day", "")
	if got.status != 200 || looked || got.header.Get("Content-Disposition") != `attachment; filename="shop.example-events-2026-05-13-2026-05-13.csv"` {
		t.Errorf("%d %v %v", got.status, looked, got.header)
	}
	if got := w.call("", "HEAD", "/v1/sites/shop.example/export/events?date_range=day", ""); got.status != 401 {
		t.Errorf("a stranger got %d", got.status)
	}
}

// TestOldClientsAreToldThatTheyCannotTell: without chunks a connection that
// broke looks like the end of a file.
func TestOldClientsAreToldThatTheyCannotTell(t *testing.T) {
	w := newWorld(t, looking(rowsOf()))
	conn, err := net.Dial("tcp", w.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /v1/sites/shop.example/export/query?metrics=visitors&date_range=day HTTP/1.0\r\nHost: x\r\nX-Who: member\r\n\r\n")
	text, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(text), "400") || !strings.Contains(string(text), "HTTP/1.1") {
		t.Errorf("%s %v", text, err)
	}
}

// held is a state whose scan waits in the middle until it is let go.
type held struct {
	began, go_ chan struct{}
}

func newHeld() *held { return &held{began: make(chan struct{}, 8), go_: make(chan struct{})} }

func (h *held) scan(ctx context.Context, from, to int64, f *query.Filter, fn func(query.Visit, []int) error) error {
	if err := synthetic(20_000)(ctx, from, to, f, fn); err != nil {
		return err
	}
	h.began <- struct{}{}
	select {
	case <-h.go_:
	case <-ctx.Done():
		return ctx.Err()
	}
	return synthetic(1000)(ctx, from, to, f, fn)
}

// TestExportsAreBounded: in all, and so that one caller leaves room for others.
func TestExportsAreBounded(t *testing.T) {
	h := newHeld()
	w := newWorld(t, looking(scene{scan: h.scan}), func(c *Config) { c.AtATime = 3 })
	const target = "/v1/sites/shop.example/export/events?date_range=day"
	open := func(who string) *http.Response {
		t.Helper()
		resp, err := w.client.Do(w.request(who, "GET", target, ""))
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	drained := make(chan int64, 8)
	begin := func(who string) {
		t.Helper()
		resp := open(who)
		if resp.StatusCode != 200 {
			t.Fatalf("%s: %d", who, resp.StatusCode)
		}
		go func() { // ends when the export does, at the latest with the client's connection
			n, _ := io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			drained <- n
		}()
		<-h.began
	}
	refused := func(who string, status int) {
		t.Helper()
		resp := open(who)
		defer resp.Body.Close()
		if resp.StatusCode != status || resp.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %v, want %d", who, resp.StatusCode, resp.Header, status)
		}
	}
	begin("member")
	begin("member")
	refused("member", 429) // others must get through
	begin("key")
	refused("operator", 503)
	close(h.go_)
	for range 3 {
		<-drained
	}
	if got := w.call("operator", "GET", target, ""); got.status != 200 || got.err != nil {
		t.Errorf("after the others: %d %v", got.status, got.err)
	}
}

// TestAClientThatLeavesEndsTheScan.
func TestAClientThatLeavesEndsTheScan(t *testing.T) {
	ended := make(chan error, 1)
	s := scene{scan: func(ctx context.Context, from, to int64, f *query.Filter, fn func(query.Visit, []int) error) (err error) {
		defer func() { ended <- err }()
		for err == nil {
			err = synthetic(10_000)(ctx, from, to, f, fn)
		}
		return err
	}}
	w := newWorld(t, looking(s))
	ctx, leave := context.WithCancel(context.Background())
	req := w.request("member", "GET", "/v1/sites/shop.example/export/events?date_range=day", "").WithContext(ctx)
	resp, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	leave()
	resp.Body.Close()
	if err := <-ended; err == nil {
		t.Error("the scan ended without an error")
	}
	w.door.Close()
	if n := w.door.slots.running(); n != 0 {
		t.Errorf("%d exports still run", n)
	}
	if strings.Contains(w.log.String(), "level=ERROR") {
		t.Errorf("a client that left is no fault of ours: %s", w.log.String())
	}
}

// TestAClientThatLeavesIsMissed also while there is nothing to write, before the
// first row and after it.
func TestAClientThatLeavesIsMissed(t *testing.T) {
	for name, visits := range map[string]int{"before the first buffer": 0, "in the middle": 20_000} {
		began, ended := make(chan struct{}), make(chan error, 1)
		s := scene{scan: func(ctx context.Context, from, to int64, f *query.Filter, fn func(query.Visit, []int) error) error {
			if err := synthetic(visits)(ctx, from, to, f, fn); err != nil {
				return err
			}
			close(began)
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return ctx.Err()
		}}
		w := newWorld(t, looking(s))
		ctx, leave := context.WithCancel(context.Background())
		go func() {
			resp, err := w.client.Do(w.request("member", "GET", "/v1/sites/shop.example/export/events?date_range=day", "").WithContext(ctx))
			if err == nil {
				_, _ = io.Copy(io.Discard, resp.Body) // until it leaves
				resp.Body.Close()
			}
		}()
		<-began
		leave()
		// In the middle a write that fails can be sooner than the look at the connection.
		if err := <-ended; !errors.Is(err, door.ErrClientLeft) && (visits == 0 || !errors.Is(err, context.Canceled)) {
			t.Errorf("%s: the scan ended for %v", name, err)
		}
		w.door.Close()
		if strings.Contains(w.log.String(), "level=ERROR") {
			t.Errorf("%s: a client that left is no fault of ours: %s", name, w.log.String())
		}
	}
}

// TestStoppingBreaksExportsOff and lets nobody in any more.
func TestStoppingBreaksExportsOff(t *testing.T) {
	h := newHeld()
	w := newWorld(t, looking(scene{scan: h.scan}))
	resp, err := w.client.Do(w.request("member", "GET", "/v1/sites/shop.example/export/events?date_range=day", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	read := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, resp.Body)
		read <- err
	}()
	<-h.began
	w.door.Close()
	if err := <-read; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the client read to the end: %v", err)
	}
	if got := w.get("/v1/sites/shop.example/export/events?date_range=day"); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("after that: %d %s", got.status, got.body)
	}
}

// TestAnExportEndsInTime, even if what it waits for does not.
func TestAnExportEndsInTime(t *testing.T) {
	h := newHeld()
	w := newWorld(t, looking(scene{scan: h.scan}), func(c *Config) { c.Timeout = 50 * time.Millisecond })
	got := w.get("/v1/sites/shop.example/export/events?date_range=day")
	if got.status == 200 && !errors.Is(got.err, io.ErrUnexpectedEOF) || got.status != 200 && got.status != 503 {
		t.Errorf("%d %v", got.status, got.err)
	}
}

// TestALookerThatLooksAtNothing is a fault, not an empty file.
func TestALookerThatLooksAtNothing(t *testing.T) {
	w := newWorld(t, lookerFunc(func(context.Context, analytics.SiteID, analytics.Token, func(context.Context, State) error) error {
		return nil
	}))
	if got := w.get("/v1/sites/shop.example/export/events?date_range=day&format=ndjson"); got.status != 500 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestNothingIsAFileToo(t *testing.T) {
	none := scene{index: 9, ask: rowsOf().ask, scan: func(context.Context, int64, int64, *query.Filter, func(query.Visit, []int) error) error { return nil }}
	w := newWorld(t, looking(none))
	for _, form := range []string{"csv", "ndjson", "parquet"} {
		for _, target := range []string{"events?date_range=day&format=", "query?date_range=day&metrics=visitors&format="} {
			got := w.get("/v1/sites/shop.example/export/" + target + form)
			if got.status != 200 || got.err != nil || got.trailer.Get("X-Footfall-Complete") != "true" || got.trailer.Get("X-Footfall-Rows") != "0" {
				t.Errorf("%s%s: %d %v %v", target, form, got.status, got.err, got.trailer)
			}
			switch form {
			case "csv":
				if rows, err := parseCSV(string(got.body)); err != nil || len(rows) != 1 {
					t.Errorf("%q %v", got.body, err)
				}
			case "parquet":
				if _, _, rows := readParquet(t, got.body); len(rows) != 0 {
					t.Error(rows)
				}
			default:
				if len(got.body) != 0 {
					t.Errorf("%q", got.body)
				}
			}
		}
	}
}

func TestTheTokenGoesAlong(t *testing.T) {
	var seen []analytics.Token
	w := newWorld(t, lookerFunc(func(ctx context.Context, _ analytics.SiteID, after analytics.Token, f func(context.Context, State) error) error {
		seen = append(seen, after)
		return f(ctx, rowsOf())
	}))
	req := w.request("member", "GET", "/v1/sites/shop.example/export/query?metrics=visitors&date_range=day&token=1-2", "")
	w.send(req, "")
	req.Header.Set("X-Footfall-Token", "3-44")
	w.send(req, "")
	if len(seen) != 2 || seen[0] != (analytics.Token{Shard: 1, Index: 2}) || seen[1] != (analytics.Token{Shard: 3, Index: 44}) {
		t.Errorf("%v", seen)
	}
}

func TestFileNamesAreHarmless(t *testing.T) {
	for in, want := range map[string]string{"shop.example": "shop.example", `a"b;c/../x`: "a_b_c_.._x", "..": "_.", "-rf": "-rf", "": "site", "ü.de": "_.de", "a\r\nb": "a__b"} {
		if got := plain(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzQueryParameters(f *testing.F) {
	f.Add("date_range=2026-05-01,2026-05-31&metrics=visitors&dimensions=[1,2]&filters=[]&limit=5")
	f.Add("metrics=[&limit=99999999999999999999&include={\"comparisons\":{}}")
	f.Fuzz(func(t *testing.T, text string) {
		args := newArgs(text)
		m, err := queryOf(args)
		if err != nil {
			if analytics.CodeOf(err) != analytics.Invalid {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if err := checkBody(m, "a.example"); err != nil {
			return
		}
		if _, err := json.Marshal(m); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	})
}
