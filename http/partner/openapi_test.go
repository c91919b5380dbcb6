package partner

import (
	"context"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// TestTheDocumentIsComplete holds openapi.yaml to what generated clients need.
func TestTheDocumentIsComplete(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(openapi)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			where := method + " " + path
			if op.OperationID == "" || len(op.Tags) != 1 {
				t.Errorf("%s: operationId %q, tags %v", where, op.OperationID, op.Tags)
			}
			if other, taken := names[op.OperationID]; taken {
				t.Errorf("%s and %s are both %s", where, other, op.OperationID)
			}
			names[op.OperationID] = where
			for _, part := range strings.Split(path, "/") {
				name, braced := strings.CutPrefix(part, "{")
				name = strings.TrimSuffix(name, "}")
				if braced && op.Parameters.GetByInAndName("path", name) == nil && item.Parameters.GetByInAndName("path", name) == nil {
					t.Errorf("%s: parameter %s is not described", where, name)
				}
			}
		}
	}
	for _, r := range New(Config{}).Routes() {
		item := doc.Paths.Value(r.Path)
		if item == nil || item.GetOperation(r.Method) == nil {
			t.Errorf("%s %s is not described", r.Method, r.Path)
		}
	}
}

// TestEveryMetricAndDimensionIsDescribed keeps the document and the parser
// together.
func TestEveryMetricAndDimensionIsDescribed(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(openapi)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range doc.Components.Schemas["Metric"].Value.Enum {
		name, _ := v.(string)
		if _, ok := metricNamed(name); !ok {
			t.Errorf("metric %s is described and not known", name)
		}
	}
	text := doc.Components.Schemas["Dimension"].Value.Description
	n := 0
	for i, part := range strings.Split(text, "`") {
		if i%2 == 0 {
			continue
		}
		n++
		if _, ok := dimensionNamed(strings.Replace(part, "<key>", "plan", 1)); !ok {
			t.Errorf("dimension %s is described and not known", part)
		}
	}
	if n < 30 {
		t.Errorf("only %d dimensions are described", n)
	}
}

// TestEveryAnswerAboutCountsMaySayHowFreshItIs: who can name a write that an
// answer must include can bound its age, and is told it.
func TestEveryAnswerAboutCountsMaySayHowFreshItIs(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(openapi)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			token := op.Parameters.GetByInAndName("header", "X-Footfall-Token") != nil
			bound := op.Parameters.GetByInAndName("header", "X-Footfall-Max-Staleness") != nil
			if token != bound {
				t.Errorf("%s %s: takes a token: %v, a bound on staleness: %v", method, path, token, bound)
			}
			good := op.Responses.Value("200")
			if good == nil {
				continue
			}
			says := good.Value.Headers["X-Footfall-Staleness"] != nil
			if says != (good.Value.Headers["X-Footfall-Read-Only"] != nil) || token && !says {
				t.Errorf("%s %s: does not say how fresh its answer is", method, path)
			}
			if says {
				n++
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d routes say how fresh their answers are", n)
	}
}
