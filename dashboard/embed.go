// Package dashboard carries the built merchants' dashboard inside the binary.
// It must never do anything but hand out those files; which headers they get
// and who may have them is the serving door's business. Start at Files; the
// source of the pages is in src.
package dashboard

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Files is the built dashboard with index.html at its root. Every other file
// is below assets/ and has a hash in its name, so it never changes under one
// name. Before the front end is built it holds no index.html; see Built.
func Files() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic("dashboard: embedded folder dist: " + err.Error())
	}
	return files
}

// Built tells whether the front end was built before the binary was.
func Built() bool {
	_, err := fs.Stat(dist, "dist/index.html")
	return err == nil
}
