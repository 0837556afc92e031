package function

import (
	"archive/zip"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
)

//go:embed shim
var shims embed.FS

// family is how the functions of a group of runtimes are started.
type family int

const (
	familyNone   family = iota
	familyOwn           // an executable called bootstrap
	familyPython        // our shim
	familyNode          // our shim
	familyJava          // the runtime client that the function brings along
)

var (
	ownRuntimes = regexp.MustCompile(`^(provided|provided\.al2|provided\.al2023|go1\.x)$`)
	pythons     = regexp.MustCompile(`^python3\.\d+$`)
	nodes       = regexp.MustCompile(`^nodejs\d+\.x$`)
	javas       = regexp.MustCompile(`^java\d+(\.al2|\.al2023)?$`)
	javaClient  = regexp.MustCompile(`^lib/aws-lambda-java-runtime-interface-client-[^/]*\.jar$`)
)

const (
	javaMain     = "com.amazonaws.services.lambda.runtime.api.client.AWSLambda"
	pythonShim   = "boot.py"
	nodeShim     = "boot.mjs"
	handlerOfOwn = "bootstrap"
)

func familyOf(runtime string) family {
	switch {
	case ownRuntimes.MatchString(runtime):
		return familyOwn
	case pythons.MatchString(runtime):
		return familyPython
	case nodes.MatchString(runtime):
		return familyNode
	case javas.MatchString(runtime):
		return familyJava
	}
	return familyNone
}

// checkRuntime says why v cannot run here, if it cannot. Its code is looked at
// where z is not nil.
func (f *Functions) checkRuntime(v *Version, z *zip.Reader) error {
	if f.forwards() {
		return errForwards()
	}
	of := familyOf(v.Runtime)
	if of == familyNone {
		return invalid("Runtime %s is not supported here: functions run as processes, of the runtimes provided.al2023, provided.al2, python3.* and nodejs*.x (and java* where the function brings its runtime client).", v.Runtime)
	}
	if of != familyOwn && v.Handler == "" {
		return invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
	}
	if here := Architecture(); of == familyOwn && v.Architecture != here {
		return invalid("Architecture %s cannot run here: this machine's is %s.", v.Architecture, here)
	}
	if _, err := f.programs.find(v.Runtime); err != nil {
		return err
	}
	if of != familyJava || z == nil {
		return nil
	}
	for _, file := range z.File {
		if javaClient.MatchString(file.Name) {
			return nil
		}
	}
	return invalid("Runtime %s runs here only with its runtime client: put aws-lambda-java-runtime-interface-client and the function's other jars into the archive's folder lib.", v.Runtime)
}

// Architecture is this machine's, as Lambda calls it.
func Architecture() string {
	if runtime.GOARCH == "arm64" {
		return "arm64"
	}
	return "x86_64"
}

// commandLine is how a version whose files lie in dir is started.
func (f *Functions) commandLine(v *Version, dir string) ([]string, error) {
	program, err := f.programs.find(v.Runtime)
	if err != nil {
		return nil, err
	}
	switch familyOf(v.Runtime) {
	case familyPython:
		// -u: what the function prints is in its log when it has answered.
		return []string{program, "-u", filepath.Join(f.codes.work, pythonShim)}, nil
	case familyNode:
		return []string{program, filepath.Join(f.codes.work, nodeShim)}, nil
	case familyJava:
		return []string{program, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", dir + string(os.PathListSeparator) + filepath.Join(dir, "lib", "*"), javaMain, v.Handler}, nil
	}
	return []string{filepath.Join(dir, handlerOfOwn)}, nil
}

// writeShims puts our shims where interpreters find them.
func (f *Functions) writeShims() error {
	for _, name := range []string{pythonShim, nodeShim} {
		text, err := shims.ReadFile("shim/" + name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(f.codes.work, name), text, 0o644); err != nil {
			return fmt.Errorf("write shim: %w", err)
		}
	}
	return nil
}
