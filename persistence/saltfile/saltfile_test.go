package saltfile_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"footfall/persistence/saltfile"
)

const (
	hour = 60 * 60 * 1000
	day  = 24 * hour
	noon = 20_000*day + 12*hour
)

func open(t *testing.T, path string) *saltfile.File {
	t.Helper()
	f, err := saltfile.Open(path, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestSaltsTurnWithTheDay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "salts")
	f := open(t, path)
	at := func(now int64) (cur, prev [16]byte, has bool) {
		t.Helper()
		c, p := f.At(now)
		if p != nil {
			prev = *p
		}
		if err := f.Err(); err != nil {
			t.Fatal(err)
		}
		return *c, prev, p != nil
	}
	first, _, has := at(noon)
	if has || first == [16]byte{} {
		t.Errorf("the first salt is %x, with one before it: %t", first, has)
	}
	if c, _, _ := at(noon + 12*hour - 1); c != first {
		t.Error("the salt changes within the day")
	}
	if c, _, _ := at(noon - 20*hour); c != first {
		t.Error("a clock that goes back some hours changes the salt")
	}
	second, prev, has := at(noon + 12*hour)
	if second == first || !has || prev != first {
		t.Errorf("day two has %x after %x (%t), the first was %x", second, prev, has, first)
	}
	if c, p, _ := at(noon + 12*hour - 1); c != second || p != first {
		t.Error("a call that read the clock before midnight does not get the salts of both days")
	}
	f = open(t, path) // a restart keeps both
	if c, p, has := at(noon + day); c != second || p != first || !has {
		t.Error("a restart changes the salts")
	}
	third, prev, has := at(noon + 2*day)
	if third == second || !has || prev != second {
		t.Error("day three does not follow day two")
	}
	// Two days without anybody: the last salt is older than 48 hours.
	if c, _, has := at(noon + 4*day); c == third || has {
		t.Errorf("after two idle days the salt is %x with one before it: %t", c, has)
	}
	last, _, _ := at(noon + 4*day)
	// A clock that was wrong by years must not keep its salt.
	if c, _, has := at(noon - 500*day); c == last || has {
		t.Error("a clock set back by years keeps the salt")
	}
}

func TestSweepForgetsWithoutVisitors(t *testing.T) {
	dir := t.TempDir()
	f := open(t, filepath.Join(dir, "salts"))
	if err := f.Sweep(noon); err != nil {
		t.Fatal(err)
	}
	c, _ := f.At(noon)
	first := *c
	if err := f.Sweep(noon + hour); err != nil {
		t.Fatal(err)
	}
	if c, _ := f.At(noon + hour); *c != first {
		t.Error("sweep changes the salt within the day")
	}
	if !found(t, dir, first) {
		t.Fatal("the search does not find a salt that is there")
	}
	if err := f.Sweep(noon + 36*hour); err != nil { // 48 hours after its day began
		t.Fatal(err)
	}
	if found(t, dir, first) {
		t.Error("a salt older than 48 hours is on disk")
	}
	if c, p := f.At(noon + 36*hour); *c == first || p != nil {
		t.Error("a salt older than 48 hours is in use")
	}
}

func TestOldSaltsAreNowhereInTheDirectory(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "salts")
	f := open(t, path)
	var old [][16]byte
	for i := range int64(5) {
		if err := f.Rotate(noon + i); err != nil {
			t.Fatal(err)
		}
		c, p := f.At(noon + i)
		if (p != nil) != (i > 0) || p != nil && *p != old[i-1] {
			t.Errorf("rotation %d: the current salt does not become the previous", i)
		}
		old = append(old, *c)
		for k, s := range old {
			if want := k >= len(old)-2; found(t, dir, s) != want {
				t.Errorf("rotation %d: salt %d on disk: %t, want %t", i, k, !want, want)
			}
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("%d files, want 1", len(list))
	}
}

// The old file's bytes are overwritten where they are, not only unlinked: a
// second name of the same file shows it.
func TestTheOldFileIsOverwritten(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "salts")
	f := open(t, path)
	c, _ := f.At(noon)
	first := *c
	if err := os.Link(path, filepath.Join(dir, "witness")); err != nil {
		t.Fatal(err)
	}
	if err := f.Rotate(noon); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "witness"))
	if err != nil || len(b) == 0 || !bytes.Equal(b, make([]byte, len(b))) {
		t.Errorf("the old file holds %x, %v; want zeros", b, err)
	}
	if _, p := f.At(noon); p == nil || *p != first {
		t.Error("the previous salt is lost with the old file")
	}
}

func found(t *testing.T, dir string, salt [16]byte) bool {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, salt[:]) {
			return true
		}
	}
	return false
}

func TestAnInterruptedRotationIsFinished(t *testing.T) {
	for _, c := range []struct {
		name  string
		leave func(t *testing.T, path string)
	}{
		{"new file half written", func(t *testing.T, path string) {
			write(t, path+".new", []byte("ffsl-half-a-salt"))
		}},
		{"old name linked, not renamed", func(t *testing.T, path string) {
			write(t, path+".new", []byte("ffsl-half-a-salt"))
			if err := os.Link(path, path+".old"); err != nil {
				t.Fatal(err)
			}
		}},
		{"renamed, old not destroyed", func(t *testing.T, path string) {
			write(t, path+".old", []byte("ffsl-half-a-salt"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "salts")
			p, _ := open(t, path).At(noon)
			salt := *p
			c.leave(t, path)
			f := open(t, path)
			if again, _ := f.At(noon); *again != salt {
				t.Error("the salt is lost")
			}
			if list, _ := os.ReadDir(dir); len(list) != 1 {
				t.Errorf("%d files after Open, want 1", len(list))
			}
			if err := f.Rotate(noon); err != nil {
				t.Fatal(err)
			}
			if _, previous := open(t, path).At(noon); previous == nil || *previous != salt {
				t.Error("rotation after the interruption loses the salt")
			}
		})
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestADamagedFileIsRefusedByName(t *testing.T) {
	for name, longer := range map[string]bool{"days": false, "weeks and months": true} {
		t.Run(name, func(t *testing.T) { damaged(t, longer) })
	}
}

func damaged(t *testing.T, longer bool) {
	dir := t.TempDir()
	path := filepath.Join(dir, "salts")
	f := open(t, path)
	f.At(noon)
	f.At(noon + day)
	if longer {
		f.Weekly(noon + day)
		f.Monthly(noon + day)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	newer := append([]byte(nil), good...)
	newer[4] = 4
	cases := map[string][]byte{"empty": {}, "text": []byte("hello"), "short": good[:len(good)-1], "long": append(append([]byte(nil), good...), 0), "newer": newer}
	for i := range good {
		b := append([]byte(nil), good...)
		b[i] ^= 0x10
		cases["flip "+string(rune('A'+i))] = b
	}
	for name, b := range cases {
		write(t, path, b)
		_, err := saltfile.Open(path, rand.Reader)
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want an error naming %s", name, err, path)
		}
		if name == "newer" && !strings.Contains(err.Error(), "newer version") {
			t.Errorf("newer: %v", err)
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, b) {
			t.Errorf("%s: the damaged file was changed", name)
		}
	}
	write(t, path, good)
	open(t, path)
}

func TestTheFileIsReadAsReleased(t *testing.T) {
	path := filepath.Join(t.TempDir(), "salts")
	b := append([]byte("ffsl"), 1, 2)
	b = append(binary.BigEndian.AppendUint32(b, 20_000), "current-salt-16b"...)
	b = append(binary.BigEndian.AppendUint32(b, 19_999), "previoussalt-16b"...)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	write(t, path, b)
	c, p := open(t, path).At(noon)
	if string(c[:]) != "current-salt-16b" || p == nil || string(p[:]) != "previoussalt-16b" {
		t.Errorf("salts %q, %q", c, p)
	}
}

func TestADiskThatCannotBeWrittenDoesNotStopTheDay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "salts")
	f := open(t, path)
	c, _ := f.At(noon)
	first := *c
	if err := os.Rename(dir, dir+"-gone"); err != nil {
		t.Fatal(err)
	}
	c, p := f.At(noon + day)
	second := *c
	if second == first || p == nil || *p != first {
		t.Error("no new salt without the disk")
	}
	if err := f.Err(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one naming the file", err)
	}
	if err := f.Sweep(noon + day); err == nil {
		t.Error("sweep does not tell that it cannot write")
	}
	if err := os.Rename(dir+"-gone", dir); err != nil {
		t.Fatal(err)
	}
	if err := f.Sweep(noon + day); err != nil {
		t.Fatal(err)
	}
	if c, p := open(t, path).At(noon + day); *c != second || p == nil || *p != first {
		t.Error("sweep did not write what is in use")
	}
}

func TestOneCallRotatesForAll(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "salts"))
	for d := range int64(5) {
		var wg sync.WaitGroup
		got := make([][16]byte, 16)
		for i := range got {
			wg.Go(func() {
				c, _ := f.At(noon + d*day)
				got[i] = *c
			})
		}
		wg.Wait()
		for _, s := range got {
			if s != got[0] {
				t.Fatalf("day %d has two salts", d)
			}
		}
	}
}

func TestAtCostsNoAllocation(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "salts"))
	for name, at := range map[string]func(int64) (current, previous *[16]byte){"At": f.At, "Weekly": f.Weekly, "Monthly": f.Monthly} {
		at(noon)
		if n := testing.AllocsPerRun(100, func() { at(noon + hour) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("ffsl\x01\x01"))
	f.Add([]byte{})
	f.Add(sealed(2, 1, "\x01\x00\x00\x4e\x20current-salt-16b"))
	f.Add(sealed(2, 2, "\x02\xff\xff\xff\xffcurrent-salt-16b\x02\x00\x00\x00\x00previoussalt-16b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "salts")
		write(t, path, b)
		s, err := saltfile.Open(path, rand.Reader)
		if err != nil {
			return
		}
		s.At(noon)
		s.Weekly(noon)
		s.Monthly(noon)
		if err := s.Err(); err != nil {
			t.Fatal(err)
		}
		open(t, path)
	})
}
