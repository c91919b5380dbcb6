package queryscript

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// members is a JSON object whose members keep their order.
type members struct {
	keys   []string
	values []any
}

func (m *members) get(key string) any {
	for i, k := range m.keys {
		if k == key {
			return m.values[i]
		}
	}
	return nil
}

// decode reads JSON: *members, []any, string, json.Number, bool, nil.
func decode(body []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	v, err := value(dec)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("more than one value")
	}
	return v, nil
}

func value(dec *json.Decoder) (any, error) {
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		m := &members{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			v, err := value(dec)
			if err != nil {
				return nil, err
			}
			m.keys, m.values = append(m.keys, key.(string)), append(m.values, v)
		}
		_, err = dec.Token()
		return m, err
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			v, err := value(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = dec.Token()
		return list, err
	}
	return t, nil
}

// compact writes a value as JSON on one line, with a space after each comma.
func compact(v any) string {
	switch v := v.(type) {
	case *members:
		var parts []string
		for i, k := range v.keys {
			parts = append(parts, compact(k)+": "+compact(v.values[i]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		var parts []string
		for _, x := range v {
			parts = append(parts, compact(x))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "?"
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// cell writes one value of a table.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case json.Number:
		return v.String()
	case string:
		if v == "" || v != strings.TrimSpace(v) || v[0] == '"' || strings.Contains(v, "  ") || strings.ContainsAny(v, "\t\r\n") {
			return strings.ReplaceAll(compact(v), "  ", ` \u0020`)
		}
		return v
	case *members: // money
		if amount, ok := v.get("value").(json.Number); ok {
			if currency, ok := v.get("currency").(string); ok {
				return amount.String() + " " + currency
			}
		}
	}
	return compact(v)
}

func cells(list any) []string {
	var out []string
	l, _ := list.([]any)
	for _, v := range l {
		out = append(out, cell(v))
	}
	return out
}

var errForm = errors.New("not the form of an answer that is known here")

// table writes an answer as a heading and rows.
func table(v any) ([][]string, error) {
	if n, ok := v.(json.Number); ok {
		return [][]string{{n.String()}}, nil
	}
	answer, ok := v.(*members)
	if !ok {
		return nil, errForm
	}
	results := answer.get("results")
	if figures, ok := results.(*members); ok {
		return aggregateV1(figures)
	}
	rows, ok := results.([]any)
	if !ok {
		return nil, errForm
	}
	if asked, ok := answer.get("query").(*members); ok {
		return tableV2(asked, rows)
	}
	return listV1(rows)
}

// tableV2 has a column for each dimension and metric; with comparisons also the
// figures of then, under other names where a row has one, and the change.
func tableV2(asked *members, rows []any) ([][]string, error) {
	dims, metrics := cells(asked.get("dimensions")), cells(asked.get("metrics"))
	compared, renamed := false, false
	for _, r := range rows {
		row, ok := r.(*members)
		if !ok {
			return nil, errForm
		}
		if then, ok := row.get("comparison").(*members); ok {
			compared = true
			renamed = renamed || compact(then.get("dimensions")) != compact(row.get("dimensions"))
		}
	}
	heading := append(slices.Clone(dims), metrics...)
	if renamed {
		heading = append(heading, prefixed("then ", dims)...)
	}
	if compared {
		heading = append(append(heading, prefixed("then ", metrics)...), prefixed("change ", metrics)...)
	}
	out := [][]string{heading}
	for _, r := range rows {
		row := r.(*members)
		line := append(cells(row.get("dimensions")), cells(row.get("metrics"))...)
		if then, ok := row.get("comparison").(*members); ok {
			if renamed {
				line = append(line, cells(then.get("dimensions"))...)
			}
			line = append(append(line, cells(then.get("metrics"))...), cells(then.get("change"))...)
		}
		out = append(out, line)
	}
	if len(rows) == 0 {
		out = append(out, []string{"(no rows)"})
	}
	return out, nil
}

func prefixed(with string, names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = with + n
	}
	return out
}

// aggregateV1 has a column for each metric, and a second row for the change.
func aggregateV1(figures *members) ([][]string, error) {
	var values, changes []string
	for _, v := range figures.values {
		f, ok := v.(*members)
		if !ok {
			return nil, errForm
		}
		values = append(values, cell(f.get("value")))
		if len(f.keys) > 1 {
			changes = append(changes, cell(f.get("change")))
		}
	}
	out := [][]string{figures.keys, values}
	if changes != nil {
		out = append(out, append([]string{"change"}, changes...))
		out[0], out[1] = append([]string{"of"}, out[0]...), append([]string{"value"}, out[1]...)
	}
	return out, nil
}

func listV1(rows []any) ([][]string, error) {
	var out [][]string
	for _, r := range rows {
		row, ok := r.(*members)
		if !ok {
			return nil, errForm
		}
		if out == nil {
			out = append(out, row.keys)
		}
		out = append(out, cells(row.values))
	}
	if out == nil {
		out = [][]string{{"(no rows)"}}
	}
	return out, nil
}

// shown gives a line for each name: "meta.total_rows: 3", or a line for each of
// its members where it is "meta". What is not there reads "nothing".
func shown(v any, names []string) [][]string {
	var out [][]string
	for _, name := range names {
		at := find(v, name)
		m, ok := at.(*members)
		switch {
		case at == nil:
			out = append(out, []string{name + ": nothing"})
		case ok && !strings.Contains(name, "."):
			for i, key := range m.keys {
				out = append(out, []string{name + "." + key + ": " + compact(m.values[i])})
			}
		default:
			out = append(out, []string{name + ": " + compact(at)})
		}
	}
	return out
}

// reported writes the members of a report that are named, or all but those that
// only repeat the question: lists of objects as tables, others on one line.
func reported(v any, names []string) [][]string {
	if m, ok := v.(*members); ok && names == nil {
		for _, key := range m.keys {
			if !slices.Contains([]string{"site", "timezone", "query", "meta"}, key) {
				names = append(names, key)
			}
		}
	}
	var out [][]string
	for _, name := range names {
		rows, ok := find(v, name).([]any)
		list, err := listV1(rows)
		if !ok || err != nil || len(rows) == 0 {
			out = append(out, shown(v, []string{name})...)
			continue
		}
		out = append(append(out, []string{name + ":"}), list...)
	}
	return out
}

// find follows a name such as "meta.total_rows"; nil if nothing is there.
func find(v any, name string) any {
	for part := range strings.SplitSeq(name, ".") {
		m, ok := v.(*members)
		if !ok {
			return nil
		}
		v = m.get(part)
	}
	return v
}

var gap = regexp.MustCompile(`\s{2,}|\t`)

// split reads the rows of a table that stands in a script: cells are two spaces
// or more apart.
func split(lines []string) [][]string {
	var out [][]string
	for _, l := range lines {
		out = append(out, gap.Split(strings.TrimSpace(l), -1))
	}
	return out
}

// aligned writes rows with their columns under one another. Lines of one cell do
// not widen the first column unless the whole table has but one.
func aligned(rows [][]string) []string {
	var width []int
	single := true
	for _, r := range rows {
		single = single && len(r) == 1
	}
	for _, r := range rows {
		if len(r) == 1 && !single {
			continue
		}
		for i, c := range r {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	var out []string
	for _, r := range rows {
		var b strings.Builder
		for i, c := range r {
			b.WriteString(c)
			if i < len(r)-1 {
				b.WriteString(strings.Repeat(" ", max(2, width[i]-utf8.RuneCountInString(c)+2)))
			}
		}
		out = append(out, b.String())
	}
	return out
}

// same compares two tables cell by cell.
func same(a, b [][]string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if strings.Join(a[i], "\x00") != strings.Join(b[i], "\x00") {
			return false
		}
	}
	return true
}
