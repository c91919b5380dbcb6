package dashboard

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
)

func TestEveryFileButTheIndexMayBeCachedForEver(t *testing.T) {
	if !Built() {
		t.Skip("the front end is not built: run `npm run build` in dashboard")
	}
	hashed := regexp.MustCompile(`-[A-Za-z0-9_-]{8}\.[a-z0-9]+$`)
	err := fs.WalkDir(Files(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == "index.html" || name == ".keep" {
			return err
		}
		if path.Dir(name) != "assets" || !hashed.MatchString(name) {
			t.Errorf("%s: want a hashed name below assets/, because only index.html may change under one name", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestIndexHoldsNothingThatTheContentSecurityPolicyForbids(t *testing.T) {
	if !Built() {
		t.Skip("the front end is not built: run `npm run build` in dashboard")
	}
	raw, err := fs.ReadFile(Files(), "index.html")
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	for _, tag := range regexp.MustCompile(`(?s)<script[^>]*>(.*?)</script>`).FindAllStringSubmatch(page, -1) {
		if strings.TrimSpace(tag[1]) != "" || !strings.Contains(tag[0], `src="/assets/`) {
			t.Errorf("inline or foreign script: %s", tag[0])
		}
	}
	for _, bad := range []string{"<style", " style=", " onload=", "data:", "http://", "https://"} {
		if strings.Contains(page, bad) {
			t.Errorf("index.html holds %q", bad)
		}
	}
}
