package export

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	meta "github.com/parquet-go/parquet-go/format"
)

// nasty are texts that break files which are not made with care.
var nasty = []string{
	"plain", "a,b", `say "hi"`, `"`, `""`, "two\nlines", "two\r\nlines", "\rreturn", "\ttab", "=1+1", "+49 30", "-5", "@import",
	`=HYPERLINK("https://evil.example","x")`, "'quoted", " space before", "space after ", "a;b|c", "ünï", "日本語",
	"\u202eabc\u202c", "\u200fעברית", "👩‍👩‍👧", "line\u2028sep\u2029end", "nul\x00inside", "\x7f", "\ufeffbom", "\\back\\slash", "</script>",
	"/" + strings.Repeat("ä", 999) + "/", "/" + strings.Repeat("x", 2000), "(not set)", "bad \xff\xfe utf-8", "1e3", "null", ",", "\r\n",
}

func everyKind() []heading {
	return []heading{{"t", instant, true}, {"s", text, true}, {"=opt,\"1\"", text, false}, {"o", object, false}, {"i", integer, false}, {"f", decimal, false}, {"m", money, false}}
}

// tableOf makes a row for every nasty text, with numbers of all sizes beside it.
func tableOf() (rows [][]cell) {
	numbers := []int64{0, 1, -1, 999_999, 1_000_000, 1_500_000, -12_345_678, 10, math.MaxInt64, math.MinInt64, 100_000, 123_456_000_000}
	floats := []float64{0, 1.5, -0.25, 33.33, 100, 1e15, 0.1, math.Copysign(0, -1)}
	for i, s := range nasty {
		object := cell{null: true}
		if i%3 > 0 {
			object = cell{s: string(appendJSON(append(appendJSON([]byte{'{'}, s), ':'), s)) + "}"}
		}
		rows = append(rows, []cell{{n: int64(i) * 1_234_567_891}, {s: s}, {s: s, null: i%4 == 0}, object,
			{n: numbers[i%len(numbers)], null: i%5 == 0}, {f: floats[i%len(floats)], null: i%7 == 0}, {n: numbers[(i+3)%len(numbers)], null: i%6 == 0}})
	}
	return rows
}

func written(t testing.TB, begin func(w *bytes.Buffer) (writer, error), rows [][]cell) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := begin(&b)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if err := w.row(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.end(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func wellFormed(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

func TestEveryTextComesBackFromCSV(t *testing.T) {
	rows := tableOf()
	for _, raw := range []bool{true, false} {
		got, err := parseCSV(string(written(t, func(b *bytes.Buffer) (writer, error) { return newCSV(b, everyKind(), raw) }, rows)))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(rows)+1 {
			t.Fatalf("raw %v: %d records, want %d", raw, len(got), len(rows)+1)
		}
		for i, r := range rows {
			want := wellFormed(r[1].s)
			if !raw && strings.ContainsAny(want[:1], "=+-@\t\r") {
				want = "'" + want
			}
			if got[i+1][1] != want {
				t.Errorf("raw %v: %q came back as %q", raw, want, got[i+1][1])
			}
			if r[2].null && got[i+1][2] != "" || !r[2].null && got[i+1][2] != want {
				t.Errorf("raw %v: optional %q came back as %q", raw, want, got[i+1][2])
			}
			if !r[4].null && got[i+1][4] != strconv.FormatInt(r[4].n, 10) {
				t.Errorf("number %d came back as %q: numbers are never guarded", r[4].n, got[i+1][4])
			}
		}
	}
}

func TestTextsThatCouldBeFormulasAreGuarded(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"=1+1", "'=1+1"}, {"+1", "'+1"}, {"-1", "'-1"}, {"@a", "'@a"}, {"\tx", "'\tx"}, {"\rx", "\"'\rx\""},
		{`=A1&"x"`, `"'=A1&""x"""`}, {"=a,b", `"'=a,b"`}, {"a=b", "a=b"}, {"", `""`}, {"'=", "'="}, {" =1", `" =1"`},
	} {
		if got := string(appendField(nil, c.in, false)); got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
		if got := string(appendField(nil, c.in, true)); strings.HasPrefix(strings.Trim(got, `"`), "'") && !strings.HasPrefix(c.in, "'") {
			t.Errorf("%q: guarded although raw: %q", c.in, got)
		}
	}
}

func TestEveryValueComesBackFromNDJSON(t *testing.T) {
	rows := tableOf()
	got := objects(t, written(t, func(b *bytes.Buffer) (writer, error) { return newNDJSON(b, everyKind()), nil }, rows))
	if len(got) != len(rows) {
		t.Fatalf("%d lines, want %d", len(got), len(rows))
	}
	for i, r := range rows {
		m := got[i]
		if m["s"] != any(wellFormed(r[1].s)) {
			t.Errorf("%q came back as %q", r[1].s, m["s"])
		}
		if n, ok := m["i"].(json.Number); r[4].null != (m["i"] == nil) || ok && n.String() != strconv.FormatInt(r[4].n, 10) {
			t.Errorf("%+v came back as %v", r[4], m["i"])
		}
		if n, ok := m["f"].(json.Number); ok {
			if f, _ := n.Float64(); f != r[5].f {
				t.Errorf("%v came back as %v", r[5].f, n)
			}
		} else if !r[5].null {
			t.Errorf("%v came back as %v", r[5].f, m["f"])
		}
		if o, ok := m["o"].(map[string]any); ok && o[wellFormed(r[1].s)] != any(wellFormed(r[1].s)) || ok == r[3].null {
			t.Errorf("object of %q came back as %v", r[1].s, m["o"])
		}
	}
}

func TestEveryValueComesBackFromParquet(t *testing.T) {
	rows := tableOf()
	body := written(t, func(b *bytes.Buffer) (writer, error) {
		return newParquet(b, everyKind(), [][2]string{{"footfall.as_of", "7"}}), nil
	}, rows)
	file, names, got := readParquet(t, body)
	if fmt.Sprint(names) != `[t s =opt,"1" o i f m]` {
		t.Errorf("columns %q: not in the order given", names)
	}
	if v, _ := file.Lookup("footfall.as_of"); v != "7" {
		t.Errorf("metadata %q", v)
	}
	if len(got) != len(rows) {
		t.Fatalf("%d rows, want %d", len(got), len(rows))
	}
	for i, r := range rows {
		want := map[string]any{"t": r[0].n, "s": wellFormed(r[1].s), `=opt,"1"`: wellFormed(r[2].s), "o": wellFormed(r[3].s), "i": r[4].n, "f": r[5].f, "m": r[6].n}
		for k, name := range names {
			g := got[i][name]
			if name == "m" && g != nil {
				b := []byte(g.(string))
				g = int64(binary.BigEndian.Uint64(b[1:]))
				if sign := b[0]; len(b) != 9 || sign != byte(g.(int64)>>63) {
					t.Errorf("amount %x: not in two's complement", b)
				}
			}
			if r[k].null != (g == nil) || g != nil && g != want[name] {
				t.Errorf("row %d, %s: got %v, want %v (null %v)", i, name, g, want[name], r[k].null)
			}
		}
	}
}

// TestParquetSaysWhatItsColumnsAre: other programs go by these types.
func TestParquetSaysWhatItsColumnsAre(t *testing.T) {
	rows := tableOf()
	body := written(t, func(b *bytes.Buffer) (writer, error) { return newParquet(b, everyKind(), nil), nil }, rows)
	file, _, _ := readParquet(t, body)
	about := file.Metadata()
	var said []string
	for _, f := range file.Schema().Fields() {
		said = append(said, f.Name()+" "+f.Type().String())
	}
	want := []string{"t TIMESTAMP(isAdjustedToUTC=true,unit=MILLIS)", "s STRING", "=opt,\"1\" STRING", "o JSON", "i INT(64,true)", "f DOUBLE", "m DECIMAL(19,6)"}
	if !slices.Equal(said, want) {
		t.Errorf("got %q\nwant %q", said, want)
	}
	for _, g := range about.RowGroups {
		for _, c := range g.Columns {
			if c.MetaData.Codec != meta.Zstd {
				t.Errorf("%v: codec %v", c.MetaData.PathInSchema, c.MetaData.Codec)
			}
			if c.MetaData.PathInSchema[0] == "s" && c.MetaData.DictionaryPageOffset == 0 {
				t.Error("texts have no dictionary")
			}
		}
	}
}

// TestRowGroupsAreBounded by rows and by bytes, whichever comes first.
func TestRowGroupsAreBounded(t *testing.T) {
	cols := []heading{{"s", text, true}}
	long := make([][]cell, 5000)
	for i := range long {
		long[i] = []cell{{s: strconv.Itoa(i) + strings.Repeat("x", 2000)}}
	}
	short := make([][]cell, groupRows+1)
	for i := range short {
		short[i] = []cell{{s: "x"}}
	}
	for name, rows := range map[string][][]cell{"long texts": long, "many rows": short} {
		file, _, got := readParquet(t, written(t, func(b *bytes.Buffer) (writer, error) { return newParquet(b, cols, nil), nil }, rows))
		if len(got) != len(rows) || len(file.RowGroups()) != 2 {
			t.Errorf("%s: %d rows in %d groups, want %d in 2", name, len(got), len(file.RowGroups()), len(rows))
		}
		for i := range got {
			if got[i]["s"] != rows[i][0].s {
				t.Fatalf("%s: row %d differs", name, i)
			}
		}
	}
}

func TestEmptyFilesAreReadable(t *testing.T) {
	if got := string(written(t, func(b *bytes.Buffer) (writer, error) { return newCSV(b, everyKind(), false) }, nil)); got != "t,s,\"'=opt,\"\"1\"\"\",o,i,f,m\r\n" {
		t.Errorf("CSV %q", got)
	}
	if got := written(t, func(b *bytes.Buffer) (writer, error) { return newNDJSON(b, everyKind()), nil }, nil); len(got) != 0 {
		t.Errorf("NDJSON %q", got)
	}
	_, names, rows := readParquet(t, written(t, func(b *bytes.Buffer) (writer, error) { return newParquet(b, everyKind(), nil), nil }, nil))
	if len(names) != 7 || len(rows) != 0 {
		t.Errorf("Parquet: %v, %d rows", names, len(rows))
	}
}

func TestARowOfOneEmptyFieldIsARecord(t *testing.T) {
	got := string(written(t, func(b *bytes.Buffer) (writer, error) { return newCSV(b, []heading{{"a", integer, false}}, false) }, [][]cell{{{null: true}}, {{n: 1}}}))
	if got != "a\r\n\"\"\r\n1\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestMillionthsAreExact(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 1: "0.000001", -1: "-0.000001", 1_500_000: "1.5", 19_990_000: "19.99", -5_000_000: "-5", 10: "0.00001",
		math.MaxInt64: "9223372036854.775807", math.MinInt64: "-9223372036854.775808", 100_000: "0.1"} {
		if got := string(appendMillionths(nil, n)); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

func TestRowsOfTextTakeNoMemory(t *testing.T) {
	rows := tableOf()
	for _, w := range []writer{must(newCSV(discard{}, everyKind(), false)), newNDJSON(discard{}, everyKind())} {
		for _, r := range rows {
			_ = w.row(r)
		}
		plain := rows[0]
		if n := testing.AllocsPerRun(100, func() { _ = w.row(plain) }); n != 0 {
			t.Errorf("%T: %v allocations a row", w, n)
		}
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func FuzzTextsOfCSV(f *testing.F) {
	for _, s := range nasty {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, s string, raw bool) {
		got, err := parseCSV(string(appendField(nil, s, raw)) + ",end\r\n")
		if err != nil || len(got) != 1 || len(got[0]) != 2 {
			t.Fatalf("%q: %q, %v", s, got, err)
		}
		back := got[0][0]
		if !raw {
			if isFormula(back) {
				t.Errorf("%q is a formula: %q", s, back)
			}
			if isFormula(wellFormed(s)) {
				back = strings.TrimPrefix(back, "'")
			}
		}
		if back != wellFormed(s) {
			t.Errorf("%q came back as %q", s, back)
		}
	})
}

func FuzzTextsOfJSON(f *testing.F) {
	for _, s := range nasty {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := appendJSON(nil, s)
		var back string
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatalf("%q: %s: %v", s, b, err)
		}
		if want := wellFormed(s); back != want {
			t.Errorf("%q came back as %q, want %q", s, back, want)
		}
		if bytes.ContainsAny(b, "\n\r\u2028\u2029") {
			t.Errorf("%q is not on one line: %q", s, b)
		}
	})
}

// FuzzProps: whatever a column holds, the object is JSON.
func FuzzProps(f *testing.F) {
	f.Add([]byte{1, 'a', 1, 'b'})
	f.Add([]byte{1, 'a', 0, 1, 'a', 1, 'c', 0, 2, '"', '\n'})
	f.Add([]byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1})
	f.Add([]byte{5, 'a'})
	f.Fuzz(func(t *testing.T, props []byte) {
		if b := appendProps(nil, string(props)); !json.Valid(b) {
			t.Errorf("%x: %s", props, b)
		}
	})
}
