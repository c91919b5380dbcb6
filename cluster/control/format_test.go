package control

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"footfall/analytics/accounts"
	"footfall/cluster/placement"
)

var write = flag.Bool("write", false, "write samples that are missing in testdata")

// sample gives the bytes kept for a name; got are those that this release makes.
func sample(t *testing.T, name string, got []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", "format-1", name+".hex")
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) && *write {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		text = append(hex.AppendEncode(nil, got), '\n')
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sampleEntry(t testing.TB) []byte {
	t.Helper()
	c, err := Open(Config{Store: newMemory(), Notify: func() {}})
	if err != nil {
		t.Fatal(err)
	}
	founding, err := placement.Command{At: 2, Change: found(1)}.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, data := range [][]byte{mustCommand(t, "a.example"), founding} {
		if _, err := c.offer(commandID{1, byte(i)}, data); err != nil {
			t.Fatal(err)
		}
	}
	return c.Next()
}

func TestBytesOfFormat1StayReadable(t *testing.T) {
	cmds, err := parseEntry(sample(t, "entry", sampleEntry(t)))
	if err != nil || len(cmds) != 2 {
		t.Fatalf("%d commands, %v", len(cmds), err)
	}
	if x, ok := cmds[0].accounts.Change.(*accounts.CreateSite); !ok || x.Domain != "a.example" {
		t.Errorf("%+v", cmds[0])
	}
	if x, ok := cmds[1].placement.Change.(*placement.Found); !ok || x.ID != (placement.ID{1}) {
		t.Errorf("%+v", cmds[1])
	}
	r := newRing()
	r.add(commandID{5, 6, 7})
	back := newRing()
	if err := back.restore(0, sample(t, "record-command", r.takeDirty()[0].data)); err != nil || !back.has(commandID{5, 6, 7}) || back.count != 1 {
		t.Errorf("%d commands, %v", back.count, err)
	}
}

func FuzzCommandRecord(f *testing.F) {
	r := newRing()
	r.add(commandID{1})
	f.Add(uint64(0), r.takeDirty()[0].data)
	f.Add(uint64(1), []byte{ringVersion})
	f.Fuzz(func(t *testing.T, slot uint64, b []byte) {
		r := newRing()
		if err := r.restore(slot, b); err == nil && (slot != 0 || !r.has(commandID(b[9:]))) {
			t.Fatalf("slot %d: %x is taken", slot, b)
		}
	})
}
