//go:build !unix

package function

import "errors"

// process exists where processes have groups.
type process struct{}

func startProcess(_, _ []string, _ string) (*process, error) {
	return nil, errors.New("functions run as processes on Linux and macOS only: forward invocations to a Lambda-compatible endpoint instead")
}

func (*process) wait() string       { return "" }
func (*process) signal(bool)        {}
func (*process) read(func([]byte))  {}
func (*process) drain(func([]byte)) {}
func (*process) stop()              {}
func (*process) pid() int           { return 0 }
