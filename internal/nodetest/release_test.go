package nodetest

import (
	"bytes"
	"net/http"
	"os"
	"testing"

	"footfall/internal/testnode"
)

// devRoutes are what only development builds have.
var devRoutes = []testnode.Request{
	{Method: http.MethodPost, Path: "/dev/clock", Body: `{"now":null}`},
	{Method: http.MethodPost, Path: "/dev/rotate-salts"},
	{Method: http.MethodGet, Path: "/dev/profile?seconds=1"},
}

func TestAReleaseHasNoRoutesForTests(t *testing.T) {
	release, dev := testnode.Start(t, testnode.Options{}), testnode.Start(t, testnode.Options{Dev: true})
	for _, r := range devRoutes {
		for _, key := range []string{"", testnode.AsOperator} {
			r.Key = key
			release.Call(t, http.StatusNotFound, r)
		}
		r.Key = ""
		dev.Call(t, http.StatusOK, r)
	}
	for path, want := range map[string]bool{testnode.Binary(t, false): false, testnode.Binary(t, true): true} {
		program, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range devRoutes {
			name, _, _ := bytes.Cut([]byte(r.Path), []byte("?"))
			if got := bytes.Contains(program, name); got != want {
				t.Errorf("%s has %s: %t", path, name, got)
			}
		}
	}
}
