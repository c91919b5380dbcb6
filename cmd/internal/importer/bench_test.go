package importer

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkImport measures reading, parsing, encoding and compressing; the node
// answers at once.
func BenchmarkImport(b *testing.B) {
	const lines, batch = 100_000, 2000
	path := filepath.Join(b.TempDir(), "access.log")
	if err := os.WriteFile(path, logOf(1, lines), 0o644); err != nil {
		b.Fatal(err)
	}
	all := `{"results":[` + strings.TrimSuffix(strings.Repeat(`{"status":"accepted"},`, batch), ",") + `]}`
	o := Options{Site: "example.com", Format: Combined, Progress: &quiet{}, BatchSize: batch}
	o.Node = sendFunc(func(_ context.Context, _, _ string, _ http.Header, _ []byte) ([]byte, error) { return []byte(all), nil })
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	b.ReportAllocs()
	for b.Loop() {
		got, err := Run(context.Background(), []string{path}, o)
		// The last batch is smaller than the answer: it is refused, all others count.
		if got.Lines < lines-20*batch {
			b.Fatal(fmt.Sprintf("%+v", got), err)
		}
	}
	b.ReportMetric(float64(lines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
