package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

// version and commit are set by the linker at a release build; nothing else
// writes them.
var version, commit string

// versionText gives one line: "footfall 1.2.0 (0123456789ab) go1.26 linux/amd64".
func versionText() string {
	name, revision, dirty := version, commit, ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if name == "" {
			name = info.Main.Version
		}
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && revision == "":
				revision = s.Value
			case s.Key == "vcs.modified" && s.Value == "true" && commit == "":
				dirty = ", modified"
			}
		}
	}
	if name == "" || name == "(devel)" {
		name = "devel"
	}
	if revision == "" {
		revision = "unknown commit"
	}
	if len(revision) > 12 && revision != "unknown commit" {
		revision = revision[:12]
	}
	return fmt.Sprintf("footfall %s (%s%s) %s %s/%s", name, revision, dirty, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(w *world) error {
	_, err := fmt.Fprintln(w.stdout, versionText())
	return err
}

// versionFlag is --version anywhere on the command line.
type versionFlag bool

// BeforeReset prints the version in place of everything else.
func (versionFlag) BeforeReset(k *kong.Kong, w *world) error {
	if err := (versionCommand{}).Run(w); err != nil {
		return err
	}
	k.Exit(exitOK)
	return nil
}
