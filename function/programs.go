package function

import (
	"context"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// programs remembers which program runs a runtime's code.
type programs struct {
	mu    sync.Mutex
	known map[string]string
}

// find returns the program that runs a runtime's code, preferring one of the
// runtime's own version; "" for code that runs by itself.
func (p *programs) find(runtime string) (string, error) {
	var candidates []string
	switch familyOf(runtime) {
	case familyPython:
		candidates = []string{runtime, "python3", "python"}
	case familyNode:
		candidates = []string{"node" + strings.TrimSuffix(strings.TrimPrefix(runtime, "nodejs"), ".x"), "node"}
	case familyJava:
		candidates = []string{"java"}
	default:
		return "", nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if program, ok := p.known[runtime]; ok {
		return program, nil
	}
	for _, name := range candidates {
		if program := inTruth(name, familyOf(runtime)); program != "" {
			if p.known == nil {
				p.known = map[string]string{}
			}
			p.known[runtime] = program
			return program, nil
		}
	}
	return "", invalid("Runtime %s cannot run here: this machine has no %s that works in the server's PATH.", runtime, candidates[len(candidates)-1])
}

// inTruth returns the program of a name, if it is there and works. What is
// found in PATH may be a wrapper that looks for the right version with each
// start, as pyenv's is; asked which program it is in truth, it costs that once.
func inTruth(name string, of family) string {
	program, err := exec.LookPath(name)
	if err != nil || of == familyJava {
		return program
	}
	ask := []string{"-c", "import sys; print(sys.executable)"}
	if of == familyNode {
		ask = []string{"-p", "process.execPath"}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, ask...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
