package demo

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
)

// pages gives the text of every page by the path of its folder.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(Files(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || path.Base(name) != "index.html" {
			return err
		}
		text, err := fs.ReadFile(Files(), name)
		out[path.Dir(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 4 {
		t.Fatalf("%d pages, want a shop", len(out))
	}
	return out
}

func TestEveryPageCarriesTheTracker(t *testing.T) {
	want := `<script defer data-domain="` + Domain + `" data-local src="/js/footfall.extras.js"></script>`
	for name, text := range pages(t) {
		if strings.Count(text, want) != 1 {
			t.Errorf("page %s does not carry %s once", name, want)
		}
	}
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	elsewhere := regexp.MustCompile(`^(#main|https://.*|/js/footfall\.extras\.js|/sites/` + regexp.QuoteMeta(Domain) + `)$`)
	link := regexp.MustCompile(`(?:href|src|action)="([^"]*)"`)
	for name, text := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			below, ok := strings.CutPrefix(m[1], "/demo/")
			if !ok {
				if !elsewhere.MatchString(m[1]) {
					t.Errorf("page %s: %q depends on the page's own address", name, m[1])
				}
				continue
			}
			if below == "" || strings.HasSuffix(below, "/") {
				below += "index.html"
			}
			if info, err := fs.Stat(Files(), below); err != nil || info.IsDir() {
				t.Errorf("page %s: %q leads nowhere", name, m[1])
			}
		}
	}
}

func TestPagesNeedNothingThatTheContentSecurityPolicyForbids(t *testing.T) {
	forbidden := regexp.MustCompile(`(?i)<style|<script[^>]*>[^<]|\sstyle=|\son[a-z]+=|javascript:|<iframe|<base`)
	for name, text := range pages(t) {
		if found := forbidden.FindString(text); found != "" {
			t.Errorf("page %s holds %q", name, found)
		}
	}
}
