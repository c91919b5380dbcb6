// Package tracker holds the built tracker scripts, so that the binary carries
// them. It must never build or change them: build.js does, from src. Start at
// Files.
package tracker

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Files gives the built scripts, each under its own name: footfall.js,
// script.js, footfall.extras.js, pa.js, footfall.module.js. Before the first
// build it holds none of them.
func Files() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name is fixed and valid
	}
	return files
}
