package script

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"footfall/tracker"
)

func TestTheBuiltTrackerKeepsItsBudgetUnderEveryName(t *testing.T) {
	if _, err := fs.Stat(tracker.Files(), fileOurs); errors.Is(err, fs.ErrNotExist) {
		t.Skip("the tracker is not built")
	}
	r := route(t, tracker.Files())
	check := func(name string, sizeMax int) string {
		t.Helper()
		zipped, err := get(r, name, "Accept-Encoding", "gzip")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if size := len(zipped.Body()); size > sizeMax {
			t.Errorf("%s: %d bytes gzip, want at most %d", name, size, sizeMax)
		}
		plain, err := get(r, name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return string(plain.Body())
	}
	for _, name := range []string{"footfall.js", "script.js", "plausible.js"} {
		check(name, 1000)
	}
	check("footfall.extras.js", 2000)
	check("pa-abc.js", 2100)
	for set := 1; set < Combinations; set++ {
		var names []string
		for i, f := range features {
			if set&(1<<i) != 0 {
				names = append(names, f)
			}
		}
		list := strings.Join(names, ".")
		text := check("script."+list+".js", 2060) // the names themselves cost a little
		if strings.Contains(text, placeholder) || strings.Count(text, `"`+list+`"`) < 1 {
			t.Fatalf("script.%s.js does not hold its features", list)
		}
	}
}
