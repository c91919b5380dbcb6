package testnode

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// BinariesVariable names the environment variable of a directory with other
// binaries than those in bin, for trying the tests on a broken Footfall.
const BinariesVariable = "TESTNODE_BINARIES"

// Root is the directory of the module.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the directory of the test")
		}
		dir = parent
	}
}

// Binary is the path of the built program, in its development build or as
// released. The test fails when it has not been built.
func Binary(t testing.TB, dev bool) string {
	t.Helper()
	dir := os.Getenv(BinariesVariable)
	if dir == "" {
		dir = filepath.Join(Root(t), "bin")
	}
	path := filepath.Join(dir, "footfall")
	if dev {
		path += "-dev"
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: build it first by `make build build-dev`", err)
	}
	return path
}

// Build makes a binary of the present source with build tags, which goes with the
// test.
func Build(t testing.TB, tags ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "footfall")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-p", "1", "-tags", strings.Join(tags, " "), "-o", path, "./cmd/footfall")
	cmd.Dir, cmd.Env = Root(t), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build footfall with the tags %v: %v\n%s", tags, err, out)
	}
	return path
}
