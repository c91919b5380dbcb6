package provision

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"
	"golang.org/x/net/idna"

	"footfall/analytics"
	"footfall/analytics/accounts"
)

func invalid(format string, args ...any) error {
	return analytics.Errorf(analytics.Invalid, format, args...)
}

// readJSON reads the body of a native route into v, strictly. The types that a
// form of another site's page can send are refused, so that no page can act for
// a visitor.
func readJSON(ctx *fasthttp.RequestCtx, v any) error {
	switch mediaType(ctx) {
	case "text/plain", "application/x-www-form-urlencoded", "multipart/form-data":
		return invalid("content-type: must be application/json")
	}
	d := json.NewDecoder(bytes.NewReader(ctx.Request.Body()))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return jsonError(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return invalid("body: has something after the JSON object")
	}
	return nil
}

// jsonError says what is wrong in words of the API, naming the field.
func jsonError(err error) error {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) && wrongType.Field != "" {
		kind := map[string]string{"string": "a text", "bool": "true or false", "slice": "a list", "struct": "an object", "map": "an object"}[wrongType.Type.Kind().String()]
		if kind == "" {
			kind = "a whole number in range"
		}
		return invalid("%s: must be %s", wrongType.Field, kind)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		if plain, err := strconv.Unquote(name); err == nil && len(plain) <= 60 {
			return invalid("%s: is not a field of this request", plain)
		}
	}
	return invalid("body: must be one JSON object")
}

func mediaType(ctx *fasthttp.RequestCtx) string {
	kind, _, _ := strings.Cut(strings.ToLower(string(ctx.Request.Header.ContentType())), ";")
	return strings.TrimSpace(kind)
}

// fields are the parameters of a request in the dialect, from the query and
// then from a body of any of its types. Values are as encoding/json decodes
// them, numbers as json.Number; those of forms and queries are texts, and
// a[b]=c reads like {"a":{"b":"c"}}.
type fields map[string]any

func readFields(ctx *fasthttp.RequestCtx, who accounts.Identity) (fields, error) {
	f := fields{}
	for k, v := range ctx.QueryArgs().All() {
		f.put(string(k), string(v))
	}
	body := ctx.Request.Body()
	if len(body) == 0 {
		return f, nil
	}
	kind := mediaType(ctx)
	switch kind {
	case "text/plain", "application/x-www-form-urlencoded", "multipart/form-data":
		if who.User != 0 { // pages of other sites can send these with somebody's session
			return nil, invalid("content-type: must be application/json")
		}
	}
	switch kind {
	case "application/x-www-form-urlencoded":
		return f, f.readForm(body)
	case "multipart/form-data":
		return f, f.readMultipart(body, string(ctx.Request.Header.ContentType()))
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var members map[string]any
	if err := d.Decode(&members); err != nil || members == nil {
		return nil, invalid("body: must be one JSON object")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, invalid("body: has something after the JSON object")
	}
	for k, v := range members {
		f[k] = v
	}
	return f, nil
}

func (f fields) readForm(body []byte) error {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return invalid("body: is not a form")
	}
	for k, list := range values {
		f.put(k, list[len(list)-1])
	}
	return nil
}

// readMultipart reads texts and passes files over. The length of the body
// bounds what is read.
func (f fields) readMultipart(body []byte, contentType string) error {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		return invalid("content-type: has no boundary")
	}
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return invalid("body: is not a form")
		}
		if part.FormName() == "" || part.FileName() != "" {
			continue
		}
		text, err := io.ReadAll(part)
		if err != nil {
			return invalid("body: is not a form")
		}
		f.put(part.FormName(), string(text))
	}
}

// put sets a member by the name that forms have for it. Of two of one name the
// last counts.
func (f fields) put(name, value string) {
	outer, rest, nested := strings.Cut(name, "[")
	inner, closed := strings.CutSuffix(rest, "]")
	if !nested || !closed || outer == "" || inner == "" || strings.ContainsAny(inner, "[]") {
		f[name] = value
		return
	}
	m, ok := f[outer].(map[string]any)
	if !ok {
		m = map[string]any{}
		f[outer] = m
	}
	m[inner] = value
}

// text gives a member that is a text, a number or true or false; "" for one
// that is not there.
func (f fields) text(name string) (string, error) {
	v, ok := f[name]
	if !ok {
		return "", nil
	}
	text, ok := textOf(v)
	if !ok {
		return "", invalid("%s: must be a text", name)
	}
	return text, nil
}

// textOf writes a plain value as a text; null is "".
func textOf(v any) (string, bool) {
	switch x := v.(type) {
	case nil:
		return "", true
	case string:
		return x, true
	case json.Number:
		return x.String(), true
	case bool:
		return strconv.FormatBool(x), true
	}
	return "", false
}

// required gives a member that a call cannot do without. action ends the text
// of the refusal, "create a goal".
func (f fields) required(name, action string) (string, error) {
	text, err := f.text(name)
	if err == nil && text == "" {
		err = invalid("Parameter `%s` is required to %s", name, action)
	}
	return text, err
}

// object gives a member that has members itself; nil if it is not there. Forms
// may hold it as JSON.
func (f fields) object(name string) (map[string]any, error) {
	switch x := f[name].(type) {
	case nil:
		return nil, nil
	case map[string]any:
		return x, nil
	case string:
		d := json.NewDecoder(strings.NewReader(x))
		d.UseNumber()
		var m map[string]any
		if err := d.Decode(&m); err == nil && m != nil && !d.More() {
			return m, nil
		}
	}
	return nil, invalid("%s: must be an object", name)
}

// asciiDomain turns an international name into punycode and leaves everything
// else to accounts.NormalizeDomain.
func asciiDomain(s string) (string, error) {
	host := strings.TrimSpace(s)
	if !strings.ContainsFunc(host, func(r rune) bool { return r >= 0x80 }) {
		return host, nil
	}
	if i := strings.Index(host, "://"); i >= 0 {
		host = host[i+3:]
	}
	out, err := idna.New(idna.MapForLookup(), idna.Transitional(false)).ToASCII(strings.TrimSuffix(host, "/"))
	if err != nil {
		return "", invalid("domain: is not a valid international name")
	}
	return out, nil
}

// idOf reads a path part that is the number of something.
func idOf(ctx *fasthttp.RequestCtx) (uint64, bool) {
	text, _ := ctx.UserValue("id").(string)
	id, err := strconv.ParseUint(text, 10, 64)
	return id, err == nil && id != 0
}
