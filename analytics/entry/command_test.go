package entry

import (
	"errors"
	"strings"
	"testing"
)

func commandsOf(t *testing.T, b []byte) []Item {
	t.Helper()
	rd, err := Open(b)
	if err != nil {
		t.Fatal(err)
	}
	var out []Item
	for {
		var it Item
		ok, err := rd.Next(&it)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return out
		}
		out = append(out, it)
	}
}

func TestCommandsReadBackAsTheyWereWritten(t *testing.T) {
	b := make([]byte, HeaderLen)
	PutHeader(b, 42, 5, 7, 6)
	b = AppendErase(b, 7, 1<<63+9, -3)
	b = AppendRetain(b, 8, 20_500)
	b = AppendSeal(b, 9, 2026*12+2, []byte(`{"visits":1}`))
	b = AppendDrop(b, 10, 3, 4, 5)
	got := commandsOf(t, b)
	if len(got) != 4 {
		t.Fatalf("%d items, want 4", len(got))
	}
	if it := got[0]; it.Command != Erase || it.Drop || it.Site != 7 || it.Visitor != 1<<63+9 || it.Day != -3 {
		t.Errorf("erase: %+v", it)
	}
	if it := got[1]; it.Command != Retain || it.Drop || it.Site != 8 || it.Day != 20_500 {
		t.Errorf("retain: %+v", it)
	}
	if it := got[2]; it.Command != Seal || it.Drop || it.Site != 9 || it.Month != 2026*12+2 || string(it.Figures) != `{"visits":1}` {
		t.Errorf("seal: %+v", it)
	}
	if it := got[3]; it.Command != NoCommand || !it.Drop || it.Count != 4 {
		t.Errorf("drop: %+v", it)
	}
}

func TestACommandOfANewerNodeIsRefused(t *testing.T) {
	for _, c := range []struct {
		what    string
		command Command
		body    string
	}{
		{"an unknown command", commands, "12345678"},
		{"the largest number there is", 63, "12345678"},
		{"figures that are too long", Seal, "\x00" + "\x81\x80\x04" + strings.Repeat("x", FiguresBytesMax+1)},
		{"a cut erase", Erase, "1234"},
	} {
		b := appendCommand(make([]byte, HeaderLen), 1, c.command, func(d []byte) []byte { return append(d, c.body...) })
		PutHeader(b, 1, 1, 0, 1)
		rd, err := Open(b)
		if err != nil {
			t.Fatal(err)
		}
		var it Item
		if _, err := rd.Next(&it); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %+v, %v", c.what, it, err)
		}
	}
}
