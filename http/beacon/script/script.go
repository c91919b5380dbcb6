// Package script serves the tracker under all of its names: ours, the older
// ones with their 1,024 combinations of features, and the ones made for a site.
// It must never build or fetch a script; it composes what it was given. Start at
// Routes.
//
// A combination is composed and compressed when it is first asked for and then
// kept; all of them together are below 8 MB.
package script

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

// Names of the files that Routes takes.
const (
	fileOurs   = "footfall.js"        // the small script
	fileLegacy = "script.js"          // the same as the older snippets expect it
	fileExtras = "footfall.extras.js" // every feature, placeholder for their names
	fileSite   = "pa.js"              // waits for plausible.init
)

// placeholder stands in fileExtras where the names of the features go.
const placeholder = "@features@"

// features are the extensions that an older name may hold, in the order in
// which it must hold them.
var features = [...]string{"compat", "exclusions", "file-downloads", "hash", "local",
	"manual", "outbound-links", "pageview-props", "revenue", "tagged-events"}

// Combinations is how many sets of features there are, the empty one included.
const Combinations = 1 << len(features)

// scripts holds what is served. Safe for concurrent use.
type scripts struct {
	whole map[string]*answer // by name
	site  *answer
	// combined is indexed by the set of features, bit i for features[i].
	combined [Combinations]atomic.Pointer[answer]
}

// Routes serves the built scripts in files: GET /js/ and script.js,
// plausible.js, script.<features>.js, pa-<id>.js, footfall.js and
// footfall.extras.js. A name whose file is missing is answered 503 with a text
// that says what to do, a file that cannot be used 500, any other name 404.
func Routes(files fs.FS) []door.Route {
	s := &scripts{whole: map[string]*answer{}, site: read(files, fileSite)}
	for name, file := range map[string]string{
		"footfall.js":        fileOurs,
		"footfall.extras.js": fileExtras,
		"script.js":          fileLegacy,
		"plausible.js":       fileLegacy,
	} {
		s.whole[name] = read(files, file)
	}
	return []door.Route{{Method: "GET", Path: "/js/{name}", Need: door.Public, CrossOrigin: true, Handler: s.serve}}
}

// read prepares the answer for a file, be it an error.
func read(files fs.FS, name string) *answer {
	text, err := fs.ReadFile(files, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &answer{err: analytics.Errorf(analytics.Unavailable, "script: the tracker is not built; run make build")}
	case err != nil:
		return &answer{err: fmt.Errorf("read tracker script %s: %w", name, err)}
	case name == fileExtras && bytes.Count(text, []byte(placeholder)) != 1:
		return &answer{err: fmt.Errorf("tracker script %s: %s must be in it once", name, placeholder)}
	}
	return newAnswer(text)
}

func (s *scripts) serve(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	name, _ := ctx.UserValue("name").(string)
	a := s.find(name)
	if a == nil {
		return analytics.Errorf(analytics.NotFound, "script: there is no %.100q", name)
	}
	return a.write(ctx)
}

// find gives the answer for a name, nil for a name that is none of ours.
func (s *scripts) find(name string) *answer {
	if a, ok := s.whole[name]; ok {
		return a
	}
	base, ok := strings.CutSuffix(name, ".js")
	if !ok {
		return nil
	}
	if id, ok := strings.CutPrefix(base, "pa-"); ok && validID(id) {
		return s.site
	}
	if list, ok := strings.CutPrefix(base, "script."); ok {
		if set, ok := parse(list); ok {
			return s.combine(set, list)
		}
	}
	return nil
}

// combine gives the script with exactly the features of set, whose names are
// list. Two callers may both compose it; either result is right.
func (s *scripts) combine(set int, list string) *answer {
	extras := s.whole["footfall.extras.js"]
	if extras.err != nil {
		return extras
	}
	if a := s.combined[set].Load(); a != nil {
		return a
	}
	a := newAnswer(bytes.Replace(extras.plain, []byte(placeholder), []byte(list), 1))
	s.combined[set].Store(a)
	return a
}

// parse reads names of features joined by dots, each at most once and in
// alphabetical order, and gives them as a set that is not empty.
func parse(list string) (set int, ok bool) {
	next := 0
	for name := range strings.SplitSeq(list, ".") {
		for next < len(features) && features[next] != name {
			next++
		}
		if next == len(features) {
			return 0, false
		}
		set |= 1 << next
		next++
	}
	return set, true
}

// validID tells whether id may be that of a site's own script: 1 to 64 letters,
// digits, '-' and '_'.
func validID(id string) bool {
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return len(id) > 0 && len(id) <= 64
}
