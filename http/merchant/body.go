package merchant

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"
	"golang.org/x/net/idna"

	"footfall/analytics"
)

// readJSON reads the body into v, strictly. The types that a form of another
// site's page can send are refused, so that no page can act for a visitor.
func readJSON(ctx *fasthttp.RequestCtx, v any) error {
	switch kind, _, _ := strings.Cut(strings.ToLower(string(ctx.Request.Header.ContentType())), ";"); strings.TrimSpace(kind) {
	case "text/plain", "application/x-www-form-urlencoded", "multipart/form-data":
		return analytics.Errorf(analytics.Invalid, "content-type: must be application/json")
	}
	d := json.NewDecoder(bytes.NewReader(ctx.Request.Body()))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return jsonError(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return analytics.Errorf(analytics.Invalid, "body: has something after the JSON object")
	}
	return nil
}

// jsonError says what is wrong in words of the API, naming the field.
func jsonError(err error) error {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) && wrongType.Field != "" {
		return analytics.Errorf(analytics.Invalid, "%s: must be %s", wrongType.Field, jsonName(wrongType.Type.Kind().String()))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		if plain, err := strconv.Unquote(name); err == nil && len(plain) <= 60 {
			return analytics.Errorf(analytics.Invalid, "%s: is not a field of this request", plain)
		}
	}
	return analytics.Errorf(analytics.Invalid, "body: must be one JSON object")
}

func jsonName(kind string) string {
	switch kind {
	case "string":
		return "a text"
	case "bool":
		return "true or false"
	case "slice":
		return "a list"
	case "struct", "map":
		return "an object"
	}
	return "a number"
}

// asciiDomain turns an international name into punycode and leaves everything
// else to accounts.NormalizeDomain.
func asciiDomain(s string) (string, error) {
	plain := true
	for i := range len(s) {
		plain = plain && s[i] < 0x80
	}
	if plain {
		return s, nil
	}
	host := strings.TrimSpace(s)
	for _, scheme := range []string{"https://", "http://"} {
		if len(host) > len(scheme) && strings.EqualFold(host[:len(scheme)], scheme) {
			host = host[len(scheme):]
		}
	}
	out, err := idna.New(idna.MapForLookup(), idna.Transitional(false)).ToASCII(strings.TrimSuffix(host, "/"))
	if err != nil {
		return "", analytics.Errorf(analytics.Invalid, "domain: is not a valid international name")
	}
	return out, nil
}

// idParam reads a path part that is the number of something.
func idParam(ctx *fasthttp.RequestCtx, what string) (uint64, error) {
	text, _ := ctx.UserValue("id").(string)
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil || id == 0 {
		return 0, analytics.Errorf(analytics.NotFound, "%s: there is no such %s", what, what)
	}
	return id, nil
}

// page is the part of a long list that is asked for: what comes after a
// domain, at most limit entries.
type page struct {
	after string
	limit int
}

func pageOf(ctx *fasthttp.RequestCtx, most int) (page, error) {
	args := ctx.QueryArgs()
	p := page{after: string(args.Peek("after")), limit: most}
	if text := string(args.Peek("limit")); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > most {
			return p, analytics.Errorf(analytics.Invalid, "limit: must be from 1 to %d", most)
		}
		p.limit = n
	}
	return p, nil
}
