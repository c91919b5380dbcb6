package nodetest

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"footfall/persistence/pebblestore"
)

// place is somewhere bytes are kept, with its name.
type place struct {
	name string
	data []byte
}

// filesBelow reads every file below dir.
func filesBelow(t *testing.T, dir string) (places []place) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		places = append(places, place{"file " + name, data})
		return err
	})
	if err != nil {
		t.Fatalf("read the data directory: %v", err)
	}
	return places
}

// recordsBelow reads every record of the store of a node that is not running.
// The store's files are compressed in parts, its records are not.
func recordsBelow(t *testing.T, dir string) (places []place) {
	t.Helper()
	store, err := pebblestore.Open(filepath.Join(dir, "store"), pebblestore.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	err = store.Scan(nil, bytes.Repeat([]byte{0xff}, 32), func(key, value []byte) error {
		places = append(places, place{fmt.Sprintf("record %x", key), append(bytes.Clone(key), value...)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return places
}

// holding lists the places that hold one of the needles.
func holding(places []place, needles ...[]byte) (names []string) {
	for _, p := range places {
		for _, needle := range needles {
			if bytes.Contains(p.data, needle) {
				names = append(names, fmt.Sprintf("%s holds %q", p.name, needle))
			}
		}
	}
	return names
}
