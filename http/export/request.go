package export

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/calendar"
	"footfall/http/door"
)

// parseMax bounds what is asked of others before an export begins.
const parseMax = 30 * time.Second

// request is what every export is asked with.
type request struct {
	site   *analytics.Site
	kind   string // "query" or "events"
	format format
	raw    bool // no protection against formulas
	gzip   bool
	after  analytics.Token
	now    int64 // Unix ms
	from   int64 // Unix ms, half open
	to     int64
}

func invalid(text string, args ...any) error {
	return analytics.Errorf(analytics.Invalid, text, args...)
}

// open reads what all exports share. Parameters beyond the common and the given
// ones are refused: a misspelt filter must not export everything.
func (d *Door) open(ctx *fasthttp.RequestCtx, who accounts.Identity, known ...string) (*request, error) {
	domain, _ := ctx.UserValue("site").(string)
	site, err := d.cfg.Dialect.Site(ctx, who, domain)
	if err != nil {
		return nil, err
	}
	args := ctx.QueryArgs()
	for name := range args.All() {
		if n := string(name); !slices.Contains(common, n) && !slices.Contains(known, n) {
			return nil, invalid("%s: there is no such parameter here", cut(n))
		}
	}
	r := &request{site: site, now: d.cfg.Clock().UnixMilli()}
	if r.format, err = parseFormat(string(args.Peek("format"))); err != nil {
		return nil, err
	}
	switch raw := string(args.Peek("raw")); raw {
	case "", "0", "false":
	case "1", "true":
		r.raw = true
	default:
		return nil, invalid("raw: must be 1 or 0")
	}
	if r.after, err = door.After(ctx); err != nil {
		return nil, err
	}
	if !ctx.Request.Header.IsHTTP11() {
		// Without chunks nobody can tell an export that broke off from a whole one.
		return nil, invalid("request: an export needs HTTP/1.1")
	}
	r.gzip = r.format != parquetFormat && acceptsGzip(string(ctx.Request.Header.Peek("Accept-Encoding")))
	return r, nil
}

var common = []string{"format", "raw", "token"}

// acceptsGzip tells whether a header Accept-Encoding allows gzip.
func acceptsGzip(header string) bool {
	any := false
	for item := range strings.SplitSeq(header, ",") {
		name, parameter, _ := strings.Cut(item, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if name != "gzip" && name != "*" {
			continue
		}
		key, value, given := strings.Cut(strings.TrimSpace(parameter), "=")
		weight := 1.0
		if given && strings.EqualFold(strings.TrimSpace(key), "q") {
			weight, _ = strconv.ParseFloat(strings.TrimSpace(value), 64) // what is no number asks for nothing
		}
		if name == "gzip" {
			return weight > 0
		}
		any = weight > 0
	}
	return any
}

// cut keeps texts of the caller short in an error.
func cut(s string) string {
	const most = 100
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "")
}

// decode reads exactly one JSON value, numbers as they are written.
func decode(text []byte) (any, bool) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, false
	}
	_, err := dec.Token()
	return v, err == io.EOF
}

func decodeObject(text []byte) (map[string]any, error) {
	v, ok := decode(text)
	m, object := v.(map[string]any)
	if !ok || !object {
		return nil, invalid("#: Invalid JSON, must be an object")
	}
	return m, nil
}

// jsonOf reads a parameter that is JSON; nil when it is not given.
func jsonOf(args *fasthttp.Args, name string) (any, error) {
	text := args.Peek(name)
	if len(text) == 0 {
		return nil, nil
	}
	v, ok := decode(text)
	if !ok {
		return nil, invalid("%s: must be JSON", name)
	}
	return v, nil
}

// rangeOf reads date_range: a name, or two dates or times joined by a comma.
func rangeOf(args *fasthttp.Args) (any, bool) {
	text := string(args.Peek("date_range"))
	if first, last, two := strings.Cut(text, ","); two {
		return []any{strings.TrimSpace(first), strings.TrimSpace(last)}, true
	}
	return text, text != ""
}

// queryOf makes the query that parameters describe: lists joined by commas, or
// JSON where a comma can be part of a name.
func queryOf(args *fasthttp.Args) (map[string]any, error) {
	m := map[string]any{}
	if v, ok := rangeOf(args); ok {
		m["date_range"] = v
	}
	for _, name := range []string{"metrics", "dimensions"} {
		text := string(args.Peek(name))
		switch {
		case text == "":
		case strings.HasPrefix(text, "["):
			v, ok := decode([]byte(text))
			if !ok {
				return nil, invalid("%s: must be names joined by commas, or a JSON list", name)
			}
			m[name] = v
		default:
			list := []any{}
			for part := range strings.SplitSeq(text, ",") {
				list = append(list, strings.TrimSpace(part))
			}
			m[name] = list
		}
	}
	for _, name := range []string{"filters", "order_by", "include"} {
		v, err := jsonOf(args, name)
		if err != nil {
			return nil, err
		}
		if v != nil {
			m[name] = v
		}
	}
	paging := map[string]any{}
	for _, name := range []string{"limit", "offset"} {
		if text := args.Peek(name); len(text) > 0 {
			if _, err := strconv.Atoi(string(text)); err != nil {
				return nil, invalid("%s: must be a whole number", name)
			}
			paging[name] = json.Number(text)
		}
	}
	if len(paging) > 0 {
		m["pagination"] = paging
	}
	return m, nil
}

// checkBody sees to what an export's query may say of site and comparisons.
func checkBody(body map[string]any, domain string) error {
	if given, ok := body["site_id"]; ok && given != any(domain) {
		return invalid("#/site_id: is not the site that the path names")
	}
	body["site_id"] = domain
	if include, ok := body["include"].(map[string]any); ok {
		if _, ok := include["comparisons"]; ok {
			return invalid("#/include/comparisons: an export has no comparisons; export both ranges")
		}
	}
	return nil
}

// filename names the file after site, kind and local dates: "example.com-events-
// 2026-05-01-2026-05-31.csv". It consists of letters, digits, dots and dashes.
func (r *request) filename() string {
	zone := r.site.Zone()
	first, last := calendar.DateOf(r.from, zone), calendar.DateOf(max(r.from, r.to-1), zone)
	return plain(r.site.Domain) + "-" + r.kind + "-" + first.String() + "-" + last.String() + "." + r.format.extension()
}

// plain replaces whatever could mean something to a shell, a file system or a
// header.
func plain(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.' && b.Len() > 0:
			b.WriteRune(c)
		default:
			b.WriteByte('_')
		}
	}
	if b.Len() == 0 {
		return "site"
	}
	return b.String()
}
