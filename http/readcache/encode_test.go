package readcache

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"testing"
	"time"

	"pgregory.net/rapid"

	"footfall/analytics"
	"footfall/analytics/query"
)

// fill sets every field below v that there is, those of fields yet to come
// included.
func fill(t *rapid.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(rapid.SampledFrom([]string{"", "a", "EUR", "(not set)", "/caf\u00e9", "\x00\xff"}).Draw(t, "text"))
	case reflect.Float64:
		v.SetFloat(rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1, -1, 1 << 53, 1<<53 - 1, math.Inf(1), math.MaxFloat64, math.SmallestNonzeroFloat64, 0.1})).Draw(t, "number"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "flag"))
	case reflect.Int:
		v.SetInt(rapid.Int64Range(0, math.MaxInt32).Draw(t, "int"))
	case reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, "uint"))
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case reflect.Slice:
		n := rapid.IntRange(-1, 4).Draw(t, "length")
		if n < 0 {
			return // nil, as it is
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(t, v.Index(i))
		}
	case reflect.Map:
		n := rapid.IntRange(-1, 3).Draw(t, "length")
		if n < 0 {
			return
		}
		v.Set(reflect.MakeMap(v.Type()))
		for range n {
			key, val := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(t, key)
			fill(t, val)
			v.SetMapIndex(key, val)
		}
	default:
		t.Fatalf("an answer has a field of type %v now: teach this test and answer.go", v.Type())
	}
}

// Every field of an answer comes back as it was, to the bit and with nil told
// from empty. A field that is added to the type and not to the code fails here.
func TestAnswersComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a query.Answer
		fill(t, reflect.ValueOf(&a).Elem())
		b, ok := appendAnswer([]byte("before"), &a, 1<<20)
		if !ok {
			t.Fatal("too large")
		}
		got, ok := decodeAnswer(b[len("before"):])
		if !ok {
			t.Fatalf("%+v is not read", a)
		}
		got.Index = a.Index
		if !reflect.DeepEqual(got, &a) || !sameBits(got, &a) {
			t.Fatalf("%#v\nwant\n%#v", got, &a)
		}
		if c := cloneAnswer(&a); !reflect.DeepEqual(c, &a) {
			t.Fatalf("clone %#v\nwant\n%#v", c, &a)
		}
		if _, ok := appendAnswer(nil, &a, len(b)-len("before")-1); ok {
			t.Fatal("longer than allowed")
		}
	})
}

// sameBits tells -0 from 0, which == does not.
func sameBits(a, b *query.Answer) bool {
	for i := range a.Rows {
		for j := range a.Rows[i].Values {
			if math.Float64bits(a.Rows[i].Values[j].Number) != math.Float64bits(b.Rows[i].Values[j].Number) {
				return false
			}
		}
	}
	return true
}

func TestNotANumberComesBack(t *testing.T) {
	a := &query.Answer{Rows: []query.Row{{Values: []query.Value{{Number: math.NaN()}}}}}
	b, _ := appendAnswer(nil, a, 100)
	if got, ok := decodeAnswer(b); !ok || !math.IsNaN(got.Rows[0].Values[0].Number) {
		t.Errorf("%+v %t", got, ok)
	}
}

func TestACutOrProlongedAnswerIsNotRead(t *testing.T) {
	a := &query.Answer{TotalRows: 300, Rows: []query.Row{{Dims: []string{"/a", "/b"}, Values: []query.Value{{Number: 1.5, Currency: "EUR"}, {Null: true}}}, {}},
		Warnings: map[query.Metric]query.Warning{"visits": {Code: "c", Text: "t"}}}
	whole, _ := appendAnswer(nil, a, 1000)
	for n := range whole {
		if _, ok := decodeAnswer(whole[:n]); ok {
			t.Errorf("the first %d bytes of %d are read as an answer", n, len(whole))
		}
	}
	if _, ok := decodeAnswer(append(whole, 0)); ok {
		t.Error("an answer with a byte more is read")
	}
}

func FuzzDecodeAnswer(f *testing.F) {
	for _, a := range []*query.Answer{{}, {Rows: []query.Row{}}, {TotalRows: 1, Rows: []query.Row{{Dims: []string{"x"}, Values: []query.Value{{Number: 2.5, Currency: "USD"}}}}}} {
		b, _ := appendAnswer(nil, a, 1000)
		f.Add(b)
	}
	f.Add([]byte{0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := decodeAnswer(b)
		if !ok {
			return
		}
		again, _ := appendAnswer(nil, a, math.MaxInt)
		if got, ok := decodeAnswer(again); !ok || fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", a) {
			t.Fatalf("%#v comes back as %#v", a, got)
		}
	})
}

func fullQuestion() *query.Question {
	goal := func() *query.Goal {
		return query.CompileGoal(analytics.Goal{ID: 1, Site: 2, Kind: "event", Name: "n", Event: "e", Page: "/p", Scroll: 3, Props: []analytics.Prop{{Key: "k", Value: "v"}}, Currency: "EUR"})
	}
	leaf := func() *query.Filter {
		return &query.Filter{Op: query.Matches, Dim: "visit:country", Values: []string{"a", "b"}, Patterns: []*regexp.Regexp{regexp.MustCompile("x")}, Goals: []*query.Goal{goal()}}
	}
	tree := leaf()
	tree.Children = []*query.Filter{leaf(), leaf()}
	return &query.Question{From: 10, To: 20, Zone: time.UTC, Metrics: []query.Metric{"visitors", "visits"}, Dimensions: []query.Dimension{"event:page"}, Filter: tree,
		Goals: []*query.Goal{goal()}, OrderBy: []query.Order{{Metric: "visits", Dimension: "d"}}, Limit: 1, Offset: 2, Now: 5, RowsMax: 4}
}

// Each field of a question, down to the conditions of a goal in a filter, gives
// another key when it changes. A field that is added to a type and not to the
// key fails here.
func TestEveryFieldOfAQuestionIsInItsKey(t *testing.T) {
	zones := map[string]bool{}
	q := fullQuestion()
	base := appendQuestion(nil, q)
	if !bytes.Equal(base, appendQuestion(nil, fullQuestion())) {
		t.Fatal("one question has two keys")
	}
	n := 0
	check := func(path string) {
		t.Helper()
		n++
		if same := bytes.Equal(base, appendQuestion(nil, q)); same != (path == ".Now") {
			t.Errorf("changing %s: the key stays the same: %t", path, same)
		}
	}
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		if !v.CanSet() {
			return // derived from the others: the pattern of a goal's page
		}
		was := reflect.New(v.Type()).Elem()
		was.Set(v)
		defer func() { v.Set(was) }()
		switch v.Kind() {
		case reflect.String:
			v.SetString(v.String() + "x")
			check(path)
		case reflect.Bool:
			v.SetBool(!v.Bool())
			check(path)
		case reflect.Int, reflect.Int64:
			v.SetInt(v.Int() + 1)
			check(path)
		case reflect.Uint8, reflect.Uint64:
			v.SetUint(v.Uint() + 1)
			check(path)
		case reflect.Slice:
			for i := range v.Len() {
				walk(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
			}
			if v.Len() == 0 {
				return
			}
			v.Set(reflect.AppendSlice(v.Slice3(0, v.Len(), v.Len()), v.Slice(0, 1)))
			check(path + " longer")
			v.Set(was.Slice(0, 0))
			check(path + " shorter")
		case reflect.Struct:
			for i := range v.NumField() {
				walk(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case reflect.Pointer:
			switch v.Interface().(type) {
			case *time.Location:
				for _, zone := range []*time.Location{mustZone("Europe/Berlin"), time.FixedZone("UTC", 1800)} {
					v.Set(reflect.ValueOf(zone))
					check(path)
					zones[string(appendQuestion(nil, q))] = true
				}
			case *regexp.Regexp:
				v.Set(reflect.ValueOf(regexp.MustCompile("(?i)x")))
				check(path)
			case *query.Filter, *query.Goal:
				walk(path, v.Elem())
			default:
				t.Fatalf("%s has type %v now: teach this test and key.go", path, v.Type())
			}
		default:
			t.Fatalf("%s has type %v now: teach this test and key.go", path, v.Type())
		}
	}
	walk("", reflect.ValueOf(q).Elem())
	q.Filter = nil
	check(".Filter")
	if n < 60 || len(zones) != 2 {
		t.Errorf("only %d changes were tried, %d zones", n, len(zones))
	}
}

// Texts that run together, and lists that do, are told apart.
func TestQuestionsThatReadAlikeHaveDifferentKeys(t *testing.T) {
	leaf := func(values ...string) *query.Filter { return &query.Filter{Op: query.Is, Values: values} }
	list := []*query.Filter{
		leaf(), leaf(""), leaf("", ""), leaf("ab"), leaf("a", "b"), leaf("a\x01b"), leaf("b", "a"),
		{Op: query.And, Children: []*query.Filter{leaf("a"), leaf("b")}},
		{Op: query.And, Children: []*query.Filter{{Op: query.And, Children: []*query.Filter{leaf("a")}}, leaf("b")}},
		{Op: query.And, Children: []*query.Filter{{Op: query.And, Children: []*query.Filter{leaf("a"), leaf("b")}}}},
		{Op: query.And, Children: []*query.Filter{nil}}, {Op: query.And}, nil,
	}
	keys := map[string]int{}
	for i, f := range list {
		q := question(0, 1)
		q.Filter = f
		key := string(appendQuestion(nil, q))
		if j, ok := keys[key]; ok {
			t.Errorf("filters %d and %d have one key", i, j)
		}
		keys[key] = i
	}
}
