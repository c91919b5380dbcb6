// Package scenarios is the loads that come with the program. It must hold
// nothing that depends on a machine. Start at Open.
package scenarios

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

//go:embed *.yaml
var files embed.FS

// Names lists the scenarios that come with the program.
func Names() []string {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		panic(fmt.Sprintf("scenarios: %v", err)) // they are part of the program
	}
	var out []string
	for _, e := range entries {
		out = append(out, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return out
}

// Open gives the text of a scenario: of a file if name says where one is, with
// a slash or the ending .yaml, else of one that comes with the program.
func Open(name string) ([]byte, error) {
	if strings.ContainsAny(name, "/\\") || strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml") {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the scenario: %w", err)
		}
		return b, nil
	}
	b, err := files.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("scenario: %q is none of %s, nor a file (name one as ./%s.yaml)", name, strings.Join(Names(), ", "), name)
	}
	return b, nil
}
