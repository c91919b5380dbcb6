package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers lists, for each package or tree of packages (with a slash at the end),
// the trees of Footfall that it may import. The longest name wins.
var layers = map[string][]string{
	"analytics":          {},
	"analytics/accounts": {"analytics"},
	"analytics/calendar": {},
	"analytics/column":   {},
	"analytics/delivery": {"analytics", "analytics/column"},
	"analytics/entry":    {"analytics"},
	"analytics/site":     {"analytics", "analytics/column", "analytics/entry"},
	"analytics/session":  {"analytics", "analytics/column", "analytics/site"},
	"analytics/query":    {"analytics", "analytics/calendar", "analytics/column", "analytics/entry", "analytics/session", "analytics/site"},
	"enrich/":            {"analytics", "enrich/"},
	"persistence/":       {"persistence/"},
	"actors/":            {"analytics/", "persistence"},
	"cluster":            {"analytics/", "cluster/spool"},
	"cluster/control":    {"analytics/", "cluster/placement", "persistence"},
	"cluster/discovery":  {},
	"cluster/member":     {"analytics/", "cluster/", "persistence/saltfile"},
	"cluster/placement":  {"analytics"},

	"cluster/placement/controller": {"analytics", "cluster/placement"},
	"cluster/transport/authority":  {},

	"cluster/rafthost":  {"persistence"},
	"cluster/spool":     {"persistence"},
	"cluster/transport": {"analytics"},
	"http/door":         {"analytics/"},
	"http/edge":         {"analytics/", "http/door"},
	"http/export":       {"analytics/", "http/door"},
	"http/beacon/":      {"analytics/", "enrich/", "http/door"},
	"http/inspect":      {"analytics/"},
	"http/merchant":     {"analytics/", "http/door", "http/inspect"},
	"http/partner":      {"analytics/", "http/door"},
	"http/provision":    {"analytics/", "http/door"},
	"http/operator":     {"analytics/", "http/door"},
	"http/readcache":    {"analytics/"},
	"http/report":       {"analytics/", "http/door"},
	"dashboard":         {},
	"tracker":           {},
	"demo":              {},
	"bench/":            {"bench/", "analytics/"},
	"bench/datadir":     {"bench/history", "analytics/", "actors", "cluster/", "persistence/"},
	"cmd/":              {"/"},
	"internal/":         {"/"},
}

// pure packages compute: they import nothing that touches the world.
var pure = []string{"analytics"}

var impure = []string{"os", "net", "net/http", "syscall", "time/tzdata", "crypto/rand", "math/rand", "math/rand/v2", "log", "log/slog", "os/exec", "io/fs"}

// homes lists where a third-party module may be imported.
var homes = map[string][]string{
	"github.com/asynkron/protoactor-go":  {"actors/"},
	"github.com/cockroachdb/pebble/v2":   {"persistence/pebblestore"},
	"go.etcd.io/raft/v3":                 {"cluster/rafthost", "cluster/member", "internal/simulate"},
	"github.com/hashicorp/consul":        {"cluster/discovery"},
	"github.com/anishathalye/porcupine":  {"internal/"},
	"github.com/valyala/fasthttp":        {"http/", "bench/", "cmd/"},
	"github.com/fasthttp/router":         {"http/edge"},
	"github.com/valyala/fastjson":        {"http/"},
	"github.com/parquet-go/parquet-go":   {"http/export"},
	"github.com/oschwald/maxminddb":      {"enrich/"},
	"github.com/mileusna/useragent":      {"enrich/"},
	"github.com/petar-dambovaliev":       {"enrich/"},
	"github.com/dchest/siphash":          {"enrich/"},
	"github.com/maypok86/otter/v2":       {"enrich/", "actors/"},
	"github.com/alexedwards/argon2id":    {"cluster/control"},
	"github.com/alecthomas/kong":         {"cmd/"},
	"github.com/schollz/progressbar":     {"cmd/"},
	"github.com/HdrHistogram":            {"bench/"},
	"github.com/mattn/go-sqlite3":        {"bench/peers"},
	"github.com/duckdb/duckdb-go":        {"bench/peers"},
	"github.com/VictoriaMetrics/metrics": {"http/", "cmd/"},

	// Sealed days; uploads; Parquet.
	"github.com/klauspost/compress": {"actors/", "http/", "cmd/"},

	// Memory outside the heap; the block caches are otter's.
	"github.com/VictoriaMetrics/fastcache": {"http/readcache"},
}

type file struct {
	pkg  string // path below the module, "analytics/site"
	name string
	test bool
	ast  *ast.File
}

func source(t *testing.T) []file {
	t.Helper()
	root := filepath.Join("..", "..")
	var out []file
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "node_modules" || name == "testdata" || strings.HasPrefix(name, ".") && path != root) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		out = append(out, file{filepath.ToSlash(rel), name, strings.HasSuffix(name, "_test.go"), f})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// covers tells whether a rule's name, with a slash at the end for a tree, is
// about a package.
func covers(rule, pkg string) bool {
	if rule == "/" {
		return true
	}
	tree, ok := strings.CutSuffix(rule, "/")
	return pkg == tree || ok && strings.HasPrefix(pkg, rule)
}

func layerOf(pkg string) (allowed []string, ok bool) {
	best := -1
	for rule, imports := range layers {
		if covers(rule, pkg) && len(rule) > best {
			best, allowed, ok = len(rule), imports, true
		}
	}
	return allowed, ok
}

func TestImportsPointOneWay(t *testing.T) {
	for _, f := range source(t) {
		if f.test {
			continue
		}
		allowed, ok := layerOf(f.pkg)
		if !ok {
			t.Errorf("%s: a new package needs a line in the table of layers", f.pkg)
			continue
		}
		for _, imp := range f.ast.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			if in, ok := strings.CutPrefix(path, "footfall/"); ok {
				if in != f.pkg && !slices.ContainsFunc(allowed, func(rule string) bool { return covers(rule, in) }) {
					t.Errorf("%s/%s imports %s: the table of layers does not allow it; declare a small interface instead and let cmd join", f.pkg, f.name, in)
				}
			}
			for _, p := range pure {
				if covers(p+"/", f.pkg) && slices.Contains(impure, path) {
					t.Errorf("%s/%s imports %s: pure packages touch nothing; take it as an argument", f.pkg, f.name, path)
				}
			}
		}
	}
}

func TestEveryThirdPartyPackageHasOneHome(t *testing.T) {
	for _, f := range source(t) {
		if f.test {
			continue
		}
		for _, imp := range f.ast.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			for module, rooms := range homes {
				if strings.HasPrefix(path, module) && !slices.ContainsFunc(rooms, func(r string) bool { return covers(r, f.pkg) }) {
					t.Errorf("%s/%s imports %s, whose home is %v", f.pkg, f.name, path, rooms)
				}
			}
		}
	}
}

func TestEveryPackageHasOnePackageComment(t *testing.T) {
	comments := map[string]int{}
	for _, f := range source(t) {
		if f.test {
			continue
		}
		comments[f.pkg] += 0
		if f.ast.Doc != nil {
			comments[f.pkg]++
		}
	}
	for pkg, n := range comments {
		if n != 1 {
			t.Errorf("%s has %d package comments, want 1: what it is for, what it must never do, where to start", pkg, n)
		}
	}
}

// Words that tell of one machine or of how the project was made have no place
// in it.
func TestNothingNamesAMachine(t *testing.T) {
	forbidden := []string{"/" + "work/", "/" + "root/", "/" + "home/"}
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (slices.Contains([]string{"node_modules", "dist", "bin", "data", ".git", "test-results", "results", "generated"}, name)) {
			return filepath.SkipDir
		}
		ext := filepath.Ext(name)
		if d.IsDir() || !slices.Contains([]string{".go", ".md", ".ts", ".js", ".svelte", ".sh", ".yaml", ".json", ""}, ext) {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, w := range forbidden {
			if strings.Contains(string(b), w) {
				t.Errorf("%s contains %q", path, w)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
