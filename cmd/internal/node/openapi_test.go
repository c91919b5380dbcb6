package node

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"footfall/http/door"
	"footfall/http/merchant"
)

// described reads the document that the node itself gives out.
func (w *world) described(t *testing.T) routers.Router {
	t.Helper()
	got := w.send(t, "GET", "/v1/openapi.yaml", "", nil)
	doc, err := openapi3.NewLoader().LoadFromData([]byte(got.body))
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	doc.Servers = openapi3.Servers{{URL: w.n.url}}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	return router
}

// undescribed are routes that are for browsers only.
func undescribed(r door.Route) bool {
	return r.Method == "OPTIONS" || strings.HasPrefix(r.Path, "/demo/")
}

// TestEveryRouteIsAsTheDocumentSays makes a good request to every route of a
// whole node and holds it and the answer against openapi.yaml, for whoever may
// and for somebody who may not.
func TestEveryRouteIsAsTheDocumentSays(t *testing.T) {
	n := startClustered(t)
	w := n.people()
	router := w.described(t)
	for _, r := range n.Routes() {
		if undescribed(r) {
			continue
		}
		for _, caller := range []merchant.Caller{merchant.Operator, merchant.Owner, merchant.Anonymous} {
			method, path, body := w.good(t, r, caller)
			req, err := http.NewRequest(method, n.url+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body != "" {
				req.Header.Set("Content-Type", "application/json")
			}
			route, params, err := router.FindRoute(req)
			if err != nil {
				t.Errorf("%s %s is not in openapi.yaml: %v", r.Method, r.Path, err)
				break
			}
			got := w.call(t, caller, method, path, body, map[string]string{"Content-Type": "application/json"})
			in := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route, Options: &openapi3filter.Options{
				AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true,
				ExcludeResponseBody: !strings.HasPrefix(got.header.Get("Content-Type"), "application/json")}}
			if got.status < 300 {
				if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
					t.Errorf("%s %s %s as %s: answered %d, but openapi.yaml: %v", method, path, body, caller, got.status, err)
				}
			}
			out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: got.status, Header: got.header,
				Body: io.NopCloser(bytes.NewReader([]byte(got.body))), Options: in.Options}
			if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
				t.Errorf("%s %s as %s: the answer %d %s is not as openapi.yaml says: %v", method, path, caller, got.status, got.body, err)
			}
		}
	}
}
