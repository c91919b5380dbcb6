package reporter

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"unicode"

	"footfall/analytics/accounts"
	"footfall/analytics/query"
)

func (r *Report) subject() string {
	if r.cadence == accounts.Monthly {
		return fmt.Sprintf("%s: visits in %s", r.Site, r.From[:len("2026-11")])
	}
	return fmt.Sprintf("%s: visits from %s to %s", r.Site, r.From, r.To)
}

// messageID is the same for every try, so that a mail that comes twice can be
// recognised.
func (r *Report) messageID(to string) string {
	sum := sha256.Sum256([]byte(r.ID + " " + to))
	return hex.EncodeToString(sum[:16])
}

// line is a figure as it is read.
type line struct{ Label, Value, Change string }

func (r *Report) lines() (out []line) {
	for _, f := range r.Figures {
		l := line{Label: label(f.Metric), Value: shown(f.Metric, f.Value), Change: "–"}
		if f.Change != nil {
			unit := " %"
			if f.Metric == query.BounceRate {
				unit = " points"
			}
			l.Change = fmt.Sprintf("%+d%s", *f.Change, unit)
		}
		out = append(out, l)
	}
	return out
}

func label(m query.Metric) string {
	switch m {
	case query.Visitors:
		return "Visitors"
	case query.Visits:
		return "Visits"
	case query.Pageviews:
		return "Page views"
	case query.ViewsPerVisit:
		return "Views per visit"
	case query.BounceRate:
		return "Bounce rate"
	case query.VisitDuration:
		return "Visit duration"
	}
	return string(m)
}

func shown(m query.Metric, x float64) string {
	switch m {
	case query.BounceRate:
		return number(x) + " %"
	case query.VisitDuration:
		s := int64(x)
		return fmt.Sprintf("%dm %02ds", s/60, s%60)
	case query.ViewsPerVisit:
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return number(x)
}

// number writes a whole number with commas between thousands.
func number(x float64) string {
	digits := strconv.FormatInt(int64(x), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// nameRunesMax cuts paths and sources in mails.
const nameRunesMax = 80

// plain gives a text without what could make it look like something else: line
// breaks, control characters and marks that turn the direction of writing.
func plain(s string) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return '\uFFFD'
		}
		return r
	}, s))
	if len(runes) > nameRunesMax {
		return string(runes[:nameRunesMax-1]) + "…"
	}
	return string(runes)
}

func writeText(r *Report, w *bytes.Buffer) error {
	fmt.Fprintf(w, "%s\n%s to %s (%s)\n\n", r.Site, r.From, r.To, r.Timezone)
	for _, l := range r.lines() {
		fmt.Fprintf(w, "%-16s %12s   %s\n", l.Label, l.Value, l.Change)
	}
	for _, list := range []struct {
		title string
		rows  []Best
	}{{"Pages", r.Pages}, {"Sources", r.Sources}} {
		if len(list.rows) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s, by visitors\n", list.title)
		for _, b := range list.rows {
			fmt.Fprintf(w, "%12s   %s\n", number(b.Visitors), plain(b.Name))
		}
	}
	fmt.Fprintf(w, "\n%s\n\nChanges are against the period before. Who gets this mail is set in the site's settings, under reports.\n", r.URL)
	return nil
}

// page is the HTML of a mail: tables, because mail programs know little else.
var page = template.Must(template.New("mail").Funcs(template.FuncMap{"plain": plain, "number": number}).Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Site}}</title></head>
<body style="font-family:sans-serif;color:#1b1f24;background:#ffffff;margin:24px">
<h1 style="font-size:20px;margin:0">{{.Site}}</h1>
<p style="margin:4px 0 16px;color:#57606a">{{.From}} to {{.To}} ({{.Timezone}})</p>
<table cellpadding="6" cellspacing="0" style="border-collapse:collapse">
<tr><th align="left"></th><th align="right">Period</th><th align="right">Change</th></tr>
{{range .Lines}}<tr><td style="border-top:1px solid #d0d7de">{{.Label}}</td><td align="right" style="border-top:1px solid #d0d7de"><b>{{.Value}}</b></td><td align="right" style="border-top:1px solid #d0d7de">{{.Change}}</td></tr>
{{end}}</table>
{{range .Lists}}{{if .Rows}}<h2 style="font-size:16px;margin:24px 0 8px">{{.Title}}</h2>
<table cellpadding="6" cellspacing="0" style="border-collapse:collapse">
{{range .Rows}}<tr><td style="border-top:1px solid #d0d7de">{{plain .Name}}</td><td align="right" style="border-top:1px solid #d0d7de">{{number .Visitors}}</td></tr>
{{end}}</table>
{{end}}{{end}}<p style="margin:24px 0 8px"><a href="{{.URL}}">Open in Footfall</a></p>
<p style="color:#57606a;font-size:13px">Changes are against the period before. Who gets this mail is set in the site's settings, under reports.</p>
</body></html>
`))

func writeHTML(r *Report, w *bytes.Buffer) error {
	type list struct {
		Title string
		Rows  []Best
	}
	return page.Execute(w, struct {
		*Report
		Lines []line
		Lists []list
	}{r, r.lines(), []list{{"Pages, by visitors", r.Pages}, {"Sources, by visitors", r.Sources}}})
}
