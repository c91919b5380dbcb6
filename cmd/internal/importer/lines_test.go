package importer

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func collect(r io.Reader, max int) (lines []string, long int, err error) {
	l := newLineReader(r, max)
	for {
		line, over, err := l.next()
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return lines, long, err
		}
		if over {
			long++
		}
		lines = append(lines, string(line))
	}
}

func TestLinesEndAsTextFilesDo(t *testing.T) {
	for text, want := range map[string][]string{
		"":             nil,
		"\n":           {""},
		"a":            {"a"},
		"a\n":          {"a"},
		"a\nb":         {"a", "b"},
		"a\r\nb\r\n":   {"a", "b"},
		"a\rb\r":       {"a", "b"},
		"a\n\nb":       {"a", "", "b"},
		"a\r\r\nb\n\r": {"a", "", "b", ""},
		"\r\n\r\n":     {"", ""},
	} {
		for name, r := range map[string]io.Reader{
			"at once":    strings.NewReader(text),
			"byte-wise":  iotest.OneByteReader(strings.NewReader(text)),
			"with error": iotest.DataErrReader(strings.NewReader(text)),
		} {
			got, _, err := collect(r, 100)
			if err != nil || strings.Join(got, "|") != strings.Join(want, "|") || len(got) != len(want) {
				t.Errorf("%q %s: got %q %v, want %q", text, name, got, err, want)
			}
		}
	}
}

func TestLongLinesAreCutAndThoseAfterThemRead(t *testing.T) {
	for _, end := range []string{"\n", "\r\n", ""} {
		text := "a\n" + strings.Repeat("x", 1000) + end
		want := 2
		if end != "" {
			text += "b\n" + strings.Repeat("y", 50) + "\n"
			want = 4
		}
		for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.HalfReader(strings.NewReader(text))} {
			got, long, err := collect(r, 50)
			if err != nil || long != 1 || len(got) != want || got[0] != "a" || len(got[1]) != 50 || want == 4 && (got[2] != "b" || len(got[3]) != 50) {
				t.Errorf("end %q: got %q, %d long, %v", end, got, long, err)
			}
		}
	}
}

func TestHalfALineBeforeAnErrorIsNotALine(t *testing.T) {
	broken := errors.New("disk on fire")
	got, _, err := collect(io.MultiReader(strings.NewReader("a\nhal"), iotest.ErrReader(broken)), 100)
	if err != broken || len(got) != 1 || got[0] != "a" {
		t.Errorf("got %q %v", got, err)
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("a\r\nb\rc\n"), uint8(3))
	f.Add([]byte("\r\n\n\r"), uint8(1))
	f.Add(bytes.Repeat([]byte("long"), 100), uint8(20))
	f.Fuzz(func(t *testing.T, text []byte, limit uint8) {
		max := int(limit) + 1
		plain := strings.ReplaceAll(strings.ReplaceAll(string(text), "\r\n", "\n"), "\r", "\n")
		want := strings.Split(plain, "\n")
		if want[len(want)-1] == "" {
			want = want[:len(want)-1]
		}
		for _, r := range []io.Reader{bytes.NewReader(text), iotest.OneByteReader(bytes.NewReader(text))} {
			got, _, err := collect(r, max)
			if err != nil || len(got) != len(want) {
				t.Fatalf("%q at %d: got %q %v, want %q", text, max, got, err, want)
			}
			for i := range got {
				if got[i] != want[i] && !(len(want[i]) > max && got[i] == want[i][:max]) {
					t.Fatalf("%q at %d: line %d is %q, want %q", text, max, i, got[i], want[i])
				}
			}
		}
	})
}
