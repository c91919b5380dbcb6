package queryscript

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"

	"footfall/http/door"
)

// request is a question as it reaches the door.
type request struct {
	method, target string
	body           []byte
}

// request makes one of the text of an ask: a body of the Stats API v2, "v1" and one
// of its calls, or "report", the name of one, and its body if it has any.
func (w *world) request(text string) (*request, error) {
	if call, ok := strings.CutPrefix(text, "report "); ok {
		name, body, _ := strings.Cut(call, "{")
		r := &request{method: "GET", target: "/v1/sites/" + w.site.Domain + "/" + strings.TrimSpace(name)}
		if body != "" {
			r.method = "POST"
			m, err := w.members("{" + body)
			if err != nil {
				return nil, err
			}
			r.body, err = json.Marshal(m)
			return r, err
		}
		return r, nil
	}
	if call, ok := strings.CutPrefix(text, "v1 "); ok {
		call = strings.ReplaceAll(call, "\n", "")
		path, parameters, _ := strings.Cut(strings.TrimSpace(call), "?")
		values := url.Values{"site_id": {w.site.Domain}}
		for pair := range strings.SplitSeq(parameters, "&") {
			if pair == "" {
				continue
			}
			key, value, err := setting(pair)
			if err != nil {
				return nil, err
			}
			values.Set(key, value)
		}
		return &request{"GET", "/api/v1/stats/" + path + "?" + values.Encode(), nil}, nil
	}
	m, err := w.members(text)
	if err != nil {
		return nil, err
	}
	m["site_id"], _ = json.Marshal(w.site.Domain)
	body, err := json.Marshal(m)
	return &request{"POST", "/api/v2/query", body}, err
}

// members reads a body and adds what with has said.
func (w *world) members(text string) (map[string]json.RawMessage, error) {
	m, err := object(text)
	if err != nil {
		return nil, err
	}
	for key, value := range w.with {
		if _, ok := m[key]; !ok {
			m[key] = value
		}
	}
	return m, nil
}

// answer sends the request through the route's handler.
func (w *world) answer(r *request) (status int, body []byte, err error) {
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetMethod(r.method)
	ctx.Request.SetRequestURI(r.target)
	ctx.Request.SetBody(r.body)
	ctx.Request.Header.Set("Authorization", "Bearer ff_script")
	path := string(ctx.Path())
	for _, route := range w.routes {
		before, after, named := strings.Cut(route.Path, "{site}")
		if named {
			ctx.SetUserValue("site", w.site.Domain)
			before += w.site.Domain
		}
		if route.Method != r.method || path != before+after {
			continue
		}
		if err := route.Handler(&ctx, reader()); err != nil {
			door.WriteError(&ctx, err)
		}
		return ctx.Response.StatusCode(), ctx.Response.Body(), nil
	}
	return 0, nil, fmt.Errorf("there is no %s %s", r.method, path)
}

// ask answers a question in the words of a script.
func (w *world) ask(text string, show []string) ([][]string, error) {
	if w.now.IsZero() {
		return nil, fmt.Errorf("ask before now: a question is asked at some time")
	}
	if w.careful {
		if err := w.restart(); err != nil {
			return nil, err
		}
	}
	r, err := w.request(text)
	if err != nil {
		return nil, err
	}
	status, body, err := w.answer(r)
	if err != nil {
		return nil, err
	}
	v, err := decode(body)
	if err != nil {
		return nil, fmt.Errorf("answer %d %s: %w", status, body, err)
	}
	if status != fasthttp.StatusOK {
		return problem(status, v), nil
	}
	if strings.HasPrefix(text, "report ") {
		return reported(v, show), nil
	}
	rows, err := table(v)
	if err != nil {
		return nil, fmt.Errorf("answer %s: %w", body, err)
	}
	return append(rows, shown(v, show)...), nil
}

// problem is how an error reads: its text, after its status unless that is 400.
func problem(status int, v any) [][]string {
	text := compact(v)
	if o, ok := v.(*members); ok {
		if s, ok := o.get("error").(string); ok {
			text = s
		}
	}
	if status == fasthttp.StatusBadRequest {
		return [][]string{{"error: " + text}}
	}
	return [][]string{{fmt.Sprintf("error %d: %s", status, text)}}
}
