package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"footfall/enrich"
)

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

func TestExplainPrintsHowAViewWouldCount(t *testing.T) {
	code, out, stderr := call(t, "", nil, "explain", "--user-agent", firefox, "--referrer", "https://www.google.com/",
		"--url", "https://www.example.com/a%20b?utm_campaign=spring")
	var x enrich.Explanation
	if err := json.Unmarshal([]byte(out), &x); code != 0 || err != nil {
		t.Fatalf("got %d %q %q %v", code, out, stderr, err)
	}
	if x.Browser != "Firefox" || x.Bot || x.Source != "Google" || x.Hostname != "example.com" || x.Page != "/a b" || x.UTMCampaign != "spring" || x.Dropped != "" {
		t.Errorf("got %+v", x)
	}
	code, out, _ = call(t, "", nil, "explain", "--user-agent", "curl/8.0")
	if code != 0 || !strings.Contains(out, `"bot": true`) || strings.Contains(out, `"bot_rule": ""`) {
		t.Errorf("a bot: %d %s", code, out)
	}
	for _, c := range []struct {
		args []string
		text string
	}{
		{[]string{"--ip", "nonsense"}, "ip: "},
		{[]string{"--ndjson", "--ip", "1.2.3.4"}, "--ndjson"},
	} {
		if code, _, stderr = call(t, "", nil, append([]string{"explain"}, c.args...)...); code != exitUsage || !strings.Contains(stderr, c.text) {
			t.Errorf("%v: got %d %q", c.args, code, stderr)
		}
	}
	if code, _, stderr = call(t, "", nil, "explain", "--geoip-db", "missing.mmdb"); code != exitError || !strings.Contains(stderr, "missing.mmdb") {
		t.Errorf("missing database: %d %q", code, stderr)
	}
}

func TestExplainAnswersLineByLine(t *testing.T) {
	in := `{"user_agent":"` + firefox + `","url":"https://example.com/<x>"}
{"referer":"https://x/"}
nonsense
{} {}
{"referrer":"https://duckduckgo.com/"}`
	code, out, stderr := call(t, in, nil, "explain", "--ndjson")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if code != exitError || len(lines) != 5 || !strings.Contains(stderr, "3 of 5 lines were not understood") {
		t.Fatalf("got %d %q\n%s", code, stderr, out)
	}
	for i, want := range []string{`"browser":"Firefox"`, `"error":"line 2: json: unknown field \"referer\""`, `"error":"line 3: `, `"error":"line 4: more`, `"source":"DuckDuckGo"`} {
		if !strings.Contains(lines[i], want) || !json.Valid([]byte(lines[i])) {
			t.Errorf("line %d: got %s, want %s in it", i+1, lines[i], want)
		}
	}
	if !strings.Contains(lines[0], `"page":"/<x>"`) {
		t.Errorf("got %s, want the page readable", lines[0])
	}
}

func TestExplainLinesTellsWhatEndedThem(t *testing.T) {
	explain := func(enrich.ExplainInput) enrich.Explanation { return enrich.Explanation{} }
	var out bytes.Buffer
	broken := errors.New("disk on fire")
	if err := explainLines(context.Background(), iotest.ErrReader(broken), &out, explain); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if err := explainLines(context.Background(), strings.NewReader(strings.Repeat("x", explainLineBytesMax+1)), &out, explain); err == nil {
		t.Error("a line over the limit was taken")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := explainLines(ctx, strings.NewReader("{}\n"), &out, explain); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
