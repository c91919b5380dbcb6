package entry

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"footfall/analytics"
)

func kept(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestEveryFormatIsRead: testdata holds one entry of each version, with the same
// items.
func TestEveryFormatIsRead(t *testing.T) {
	first, second := kept(t, "format-1.hex"), kept(t, "format-2.hex")
	if !bytes.Equal(first[header1Len:], second[HeaderLen:]) {
		t.Fatal("the samples hold different items")
	}
	if want := encode(sample()); !bytes.Equal(second, want) {
		t.Fatalf("the format changed: %x", want)
	}
	for _, c := range []struct {
		data  []byte
		epoch uint32
	}{{first, 0}, {second, 7}} {
		rd, err := Check(c.data)
		if err != nil || rd.Time != 42 || rd.Edge != 5 || rd.Sequence != 6 || rd.Epoch != c.epoch {
			t.Fatalf("version %d: %+v, %v", c.data[0], rd, err)
		}
		var it Item
		if ok, err := rd.Next(&it); !ok || err != nil || string(it.Name) != "buy" || it.ID != 7 {
			t.Fatalf("version %d: %+v, %v", c.data[0], it, err)
		}
	}
}

func TestWhatCannotBeAppliedIsRefused(t *testing.T) {
	good := encode(sample())
	for what, b := range map[string][]byte{
		"nothing":                      nil,
		"half a header":                good[:header1Len],
		"half an item":                 good[:len(good)-1],
		"a reason of a newer version":  AppendDrop(good, 1, len(analytics.Reasons), 1, 1),
		"a command of a newer version": appendCommand(append([]byte(nil), good...), 1, commands, func(d []byte) []byte { return append(d, 1) }),
	} {
		if _, err := Check(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Check(good); err != nil {
		t.Error(err)
	}
}
