package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"footfall/cmd/internal/importer"
)

// eventsNode counts events by id; its only site is example.com.
func eventsNode(t *testing.T) (url string) {
	seen := map[string]bool{}
	n := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v1/sites/example.com":
			w.Write([]byte(`{"domain":"example.com"}`))
		case r.URL.Path == "/v1/events" && r.Header.Get("Authorization") == "Bearer ff_w":
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			var events []map[string]any
			if err := json.NewDecoder(z).Decode(&events); err != nil {
				t.Error(err)
			}
			results := []map[string]string{}
			for _, e := range events {
				status := "accepted"
				if seen[e["id"].(string)] {
					status = "duplicate"
				}
				seen[e["id"].(string)] = true
				results = append(results, map[string]string{"status": status})
			}
			w.WriteHeader(http.StatusAccepted)
			json.NewEncoder(w).Encode(map[string]any{"results": results, "token": "3-17"})
		case r.URL.Path == "/v1/events":
			w.WriteHeader(http.StatusUnauthorized)
			w.Write([]byte(`{"error":"unauthorized"}`))
		default:
			w.WriteHeader(http.StatusNotFound)
			w.Write([]byte(`{"error":"site: not known"}`))
		}
	}))
	t.Cleanup(n.Close)
	return n.URL
}

const smallLog = `10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "Mozilla/5.0"
10.0.0.1 - - [17/May/2015:10:05:04 +0000] "GET /style.css HTTP/1.1" 200 1 "-" "Mozilla/5.0"
10.0.0.1 - - [17/May/2015:10:05:05 +0000] "POST / HTTP/1.1" 200 1 "-" "Mozilla/5.0"
rubbish
`

func TestImportPrintsWhatBecameOfTheLines(t *testing.T) {
	url := eventsNode(t)
	path := filepath.Join(t.TempDir(), "access.log")
	if err := os.WriteFile(path, []byte(smallLog), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"import", "--site", "example.com", "--server", url, "--key", "ff_w", path}
	code, out, stderr := call(t, "", nil, args...)
	want := "             4  lines read\n             1  page views counted for example.com\n" +
		"             1  left out: static file\n             1  left out: not a GET\n             1  rejected, listed in " + path + ".rejected\n"
	if code != 0 || out != want || stderr != "" {
		t.Errorf("got %d %q\n%s\nwant\n%s", code, stderr, out, want)
	}
	code, out, _ = call(t, "", nil, append(args, "--json")...)
	var got importer.Result
	if err := json.Unmarshal([]byte(out), &got); code != 0 || err != nil || got.Views != 0 || got.Duplicates != 1 || got.Lines != 4 ||
		got.Dropped["asset"] != 1 || got.RejectedFile != path+".rejected" || got.Token != "3-17" {
		t.Errorf("again as JSON: %d %q %v", code, out, err)
	}
	if code, out, _ = call(t, smallLog, nil, "import", "--site", "example.com", "--server", url, "--key", "ff_w", "--rejected", path+".r", "--all-paths", "-"); code != 0 ||
		!strings.Contains(out, "1  page views counted") || !strings.Contains(out, "1  counted before") {
		t.Errorf("standard input with all paths: %d\n%s", code, out)
	}
}

func TestImportFailsBeforeReadingWhenItCannotWork(t *testing.T) {
	url := eventsNode(t)
	for _, c := range []struct {
		args []string
		text string
	}{
		{[]string{"--site", "example.com", "--server", "http://127.0.0.1:1", "--key", "ff_w", "-"}, "cannot reach the node"},
		{[]string{"--site", "example.com", "--server", url, "--key", "ff_wrong", "-"}, "does not know this key"},
		{[]string{"--site", "example.com", "--server", url, "--key", "ff_w", "missing.log"}, "file: open missing.log"},
	} {
		code, _, stderr := call(t, smallLog, nil, append([]string{"import"}, c.args...)...)
		if code != exitError || !strings.Contains(stderr, c.text) {
			t.Errorf("%v: got %d %q, want %q", c.args, code, stderr, c.text)
		}
	}
	n, dir := localNode(t)
	code, _, stderr := call(t, smallLog, nil, "import", "--site", "new.example", "--data", dir, "-")
	if code != exitError || !strings.Contains(stderr, "footfall site add new.example") || len(n.now().requests) != 1 {
		t.Errorf("unknown site: %d %q %v", code, stderr, n.now().requests)
	}
}

func TestProgressShowsOnATerminalAndNoticesAlways(t *testing.T) {
	for _, show := range []bool{true, false} {
		for _, total := range []int64{1000, -1} {
			var errs bytes.Buffer
			at := time.Unix(0, 0)
			p := newProgress(&world{stderr: &errs, now: func() time.Time { at = at.Add(time.Second); return at }}, total, show, 0)
			p.Read(500)
			p.Done(4000)
			p.Notice("the node is busy")
			p.Read(500)
			p.end()
			text := errs.String()
			if !strings.Contains(text, "footfall: the node is busy\n") {
				t.Errorf("show %v: no notice in %q", show, text)
			}
			if show != strings.Contains(text, "4,000 lines, 4,000/s") {
				t.Errorf("show %v, total %d: got %q", show, total, text)
			}
			if show && total > 0 && !strings.Contains(text, "%") {
				t.Errorf("no bar in %q", text)
			}
		}
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := wait(ctx, time.Hour); err != context.Canceled {
		t.Errorf("got %v", err)
	}
	if err := wait(context.Background(), time.Nanosecond); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestNumbersAreGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}
