// Package demo holds the demo shop: a few static pages that carry the tracker,
// so that a new node has something to count at once. It must never serve them
// itself, nor need anything that the strict content security policy forbids:
// no inline script, no inline style. Start at Files.
package demo

import (
	"embed"
	"io/fs"
)

// Domain is the site that the shop reports to, unless ?site= names another.
const Domain = "demo.footfall"

//go:embed site
var site embed.FS

// Files gives the shop's files, made to be served below /demo/; each folder's
// page is its index.html.
func Files() fs.FS {
	files, err := fs.Sub(site, "site")
	if err != nil {
		panic(err) // the name is fixed and valid
	}
	return files
}
