// Package buildinfo tells which build is running: the release it belongs to
// and the commit it was made from, as the Go linker knows them. It hides where
// that is kept and never reads a file or the network.
package buildinfo

import (
	"runtime"
	"runtime/debug"
)

// Release is the version that this source tree leads to.
const Release = "0.1.0"

// Info describes a build.
type Info struct {
	Version  string `json:"version"`            // the release
	Commit   string `json:"commit,omitempty"`   // of the source tree, empty when built outside a repository
	Modified bool   `json:"modified,omitempty"` // the tree had changes that were not committed
	Go       string `json:"go"`                 // the Go release it was built with
	Platform string `json:"platform"`           // operating system/architecture
}

// Read returns the running build's description.
func Read() Info {
	info := Info{Version: Release, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision":
			info.Commit = s.Value
		case "vcs.modified":
			info.Modified = s.Value == "true"
		}
	}
	return info
}

// String is one line for people.
func (i Info) String() string {
	s := "thalweg " + i.Version
	if i.Commit != "" {
		s += " (" + i.Commit[:min(12, len(i.Commit))]
		if i.Modified {
			s += ", modified"
		}
		s += ")"
	}
	return s + " " + i.Go + " " + i.Platform
}
