package script

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

func built() fs.FS {
	files := fstest.MapFS{}
	for name, text := range map[string]string{
		"footfall.js": "ours()", "script.js": "legacy()", "pa.js": "site()",
		"footfall.extras.js": `extras("@features@");` + strings.Repeat("some more text;", 50),
	} {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

func route(t testing.TB, files fs.FS) door.Route {
	t.Helper()
	routes := Routes(files)
	if len(routes) != 1 || routes[0].Path != "/js/{name}" || !routes[0].CrossOrigin || routes[0].Need != door.Public {
		t.Fatalf("routes = %+v, want one public route for other origins", routes)
	}
	return routes[0]
}

// get asks for /js/<name> with headers given as name, value pairs.
func get(r door.Route, name string, headers ...string) (*fasthttp.Response, error) {
	var ctx fasthttp.RequestCtx
	ctx.Request.SetRequestURI("/js/" + name)
	for i := 0; i < len(headers); i += 2 {
		ctx.Request.Header.Set(headers[i], headers[i+1])
	}
	ctx.SetUserValue("name", name)
	err := r.Handler(&ctx, accounts.Identity{})
	return &ctx.Response, err
}

func TestEveryCombinationOfFeaturesIsServed(t *testing.T) {
	r := route(t, built())
	seen := map[string]bool{}
	for set := range Combinations {
		var names []string
		for i, f := range features {
			if set&(1<<i) != 0 {
				names = append(names, f)
			}
		}
		name, want := "script.js", "legacy()"
		if len(names) > 0 {
			list := strings.Join(names, ".")
			name, want = "script."+list+".js", `extras("`+list+`");`
		}
		res, err := get(r, name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if body := string(res.Body()); !strings.HasPrefix(body, want) {
			t.Fatalf("%s = %.80q, want %q first", name, body, want)
		}
		seen[string(res.Header.Peek("ETag"))] = true
	}
	if len(seen) != 1024 {
		t.Fatalf("%d different entity tags, want 1024", len(seen))
	}
}

func TestNames(t *testing.T) {
	r := route(t, built())
	for _, c := range []struct{ name, want string }{
		{"footfall.js", "ours()"},
		{"script.js", "legacy()"},
		{"plausible.js", "legacy()"},
		{"footfall.extras.js", `extras("@features@");`},
		{"pa-x7Yz_-9.js", "site()"},
		{"pa-" + strings.Repeat("a", 64) + ".js", "site()"},
		{"pa-" + strings.Repeat("a", 65) + ".js", ""},
		{"pa-.js", ""},
		{"pa-a.b.js", ""},
		{"pa-ä.js", ""},
		{"script.local.hash.js", ""}, // not alphabetical
		{"script.hash.hash.js", ""},
		{"script.hash..local.js", ""},
		{"script..js", ""},
		{"script.hash", ""},
		{"script.hash.js.js", ""},
		{"script.Hash.js", ""},
		{"script.form-submissions.js", ""}, // a feature of ours, not of the older names
		{"script.@features@.js", ""},
		{"plausible.hash.js", ""},
		{"footfall.module.js", ""},
		{"pa.js", ""},
		{"", ""},
		{".js", ""},
	} {
		res, err := get(r, c.name)
		if c.want == "" {
			if analytics.CodeOf(err) != analytics.NotFound || err == nil || !strings.HasPrefix(err.Error(), "script: ") {
				t.Errorf("%q: error %v, want not found", c.name, err)
			}
			continue
		}
		if err != nil || !strings.HasPrefix(string(res.Body()), c.want) {
			t.Errorf("%q = %.40q, %v; want %q", c.name, res.Body(), err, c.want)
		}
	}
}

func TestHeaders(t *testing.T) {
	res, err := get(route(t, built()), "script.hash.js")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Content-Type":                 "text/javascript; charset=utf-8",
		"Cache-Control":                "public, max-age=3600",
		"Access-Control-Allow-Origin":  "*",
		"Vary":                         "Accept-Encoding",
		"Cross-Origin-Resource-Policy": "cross-origin",
		"X-Content-Type-Options":       "nosniff",
		"Content-Encoding":             "",
	} {
		if got := string(res.Header.Peek(name)); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestGzipWhenItIsAccepted(t *testing.T) {
	r := route(t, built())
	for header, want := range map[string]bool{
		"gzip": true, "deflate, gzip;q=1.0, br": true, "GZIP": true, "*": true, "br;q=1, *;q=0.1": true,
		"gzip;q=0.001": true, "": false, "identity": false, "gzip;q=0": false, "gzip;q=0, *": false, "*;q=0": false,
		"gzip;q=x": false, "gzipped": false, "br": false,
	} {
		res, err := get(r, "script.hash.local.js", "Accept-Encoding", header)
		if err != nil {
			t.Fatal(err)
		}
		body := res.Body()
		if got := string(res.Header.Peek("Content-Encoding")) == "gzip"; got != want {
			t.Errorf("Accept-Encoding %q: gzip %v, want %v", header, got, want)
			continue
		}
		if want {
			z, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		if !strings.HasPrefix(string(body), `extras("hash.local")`) {
			t.Errorf("Accept-Encoding %q: body %.40q", header, body)
		}
	}
}

func TestNotModified(t *testing.T) {
	r := route(t, built())
	first, err := get(r, "script.hash.js")
	if err != nil {
		t.Fatal(err)
	}
	tag := string(first.Header.Peek("ETag"))
	other, err := get(r, "script.local.js")
	if err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]int{
		tag: 304, strings.TrimPrefix(tag, "W/"): 304, `"x", ` + tag: 304, "*": 304,
		`"x"`: 200, "": 200, string(other.Header.Peek("ETag")): 200, strings.Trim(tag, `W/"`): 200,
	} {
		res, err := get(r, "script.hash.js", "If-None-Match", header, "Accept-Encoding", "gzip")
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode() != want || (want == 304) != (len(res.Body()) == 0) || string(res.Header.Peek("ETag")) != tag {
			t.Errorf("If-None-Match %s: %d with %d bytes, want %d", header, res.StatusCode(), len(res.Body()), want)
		}
	}
}

func TestATrackerThatIsNotBuiltSaysSo(t *testing.T) {
	r := route(t, fstest.MapFS{".keep": &fstest.MapFile{}})
	for _, name := range []string{"footfall.js", "script.js", "script.hash.js", "pa-x.js"} {
		_, err := get(r, name)
		if analytics.CodeOf(err) != analytics.Unavailable || err == nil || !strings.Contains(err.Error(), "not built") {
			t.Errorf("%s: error %v, want unavailable and why", name, err)
		}
	}
	if _, err := get(r, "nothing.js"); analytics.CodeOf(err) != analytics.NotFound {
		t.Errorf("nothing.js: error %v, want not found", err)
	}
}

type broken struct{}

func (broken) Open(string) (fs.File, error) { return nil, errors.New("disk on fire") }

func TestFilesThatCannotBeUsedAreInternalErrors(t *testing.T) {
	for what, files := range map[string]fs.FS{
		"disk on fire": broken{},
		"@features@":   fstest.MapFS{fileExtras: &fstest.MapFile{Data: []byte("no place for names")}},
	} {
		_, err := get(route(t, files), "script.hash.js")
		if analytics.CodeOf(err) != analytics.Internal || err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("error %v, want an internal one with %q", err, what)
		}
	}
}

func TestManyAtOnceGetTheSame(t *testing.T) {
	r := route(t, built())
	var wg sync.WaitGroup
	tags := make([]string, 16)
	for i := range tags {
		wg.Go(func() {
			if res, err := get(r, "script.manual.revenue.js"); err == nil {
				tags[i] = string(res.Header.Peek("ETag"))
			}
		})
	}
	wg.Wait()
	if tags[0] == "" || len(slices.Compact(tags)) != 1 {
		t.Fatalf("entity tags %q, want one", tags)
	}
}

func FuzzName(f *testing.F) {
	for _, name := range []string{"script.js", "script.hash.local.js", "pa-1.js", "script..js", "footfall.js", "script.\x00.js"} {
		f.Add(name)
	}
	r := route(f, built())
	f.Fuzz(func(t *testing.T, name string) {
		res, err := get(r, name)
		if err != nil {
			if analytics.CodeOf(err) != analytics.NotFound {
				t.Fatalf("%q: %v", name, err)
			}
			return
		}
		if list, ok := strings.CutPrefix(name, "script."); ok && name != "script.js" {
			if list = strings.TrimSuffix(list, ".js"); !slices.IsSorted(strings.Split(list, ".")) || !bytes.Contains(res.Body(), []byte(list)) {
				t.Fatalf("%q was served as %.60q", name, res.Body())
			}
		}
	})
}
