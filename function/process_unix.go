//go:build unix

package function

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// process is an instance's process, the leader of a group of its own.
type process struct {
	cmd    *exec.Cmd
	output *os.File // what the group writes to standard output and error
	raw    syscall.RawConn
	mu     sync.Mutex // over reading output
}

// startProcess starts a process whose output is one pipe.
func startProcess(args, env []string, dir string) (*process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start process: %w", err)
	}
	defer w.Close()
	p := &process{cmd: exec.Command(args[0], args[1:]...), output: r}
	p.cmd.Env, p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = env, dir, w, w
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.raw, err = r.SyscallConn(); err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return p, nil
}

// wait waits for the process's end and says how it ended: "exit status 1",
// "signal: killed".
func (p *process) wait() string {
	_ = p.cmd.Wait() // ProcessState tells more
	return p.cmd.ProcessState.String()
}

// signal sends one to the whole group.
func (p *process) signal(kill bool) {
	s := syscall.SIGTERM
	if kill {
		s = syscall.SIGKILL
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, s) // a group that is gone needs none
}

// read hands sink what is written, until nobody is left who could write, or
// stop is called.
func (p *process) read(sink func([]byte)) {
	buf := make([]byte, 64<<10)
	for {
		done := false
		err := p.raw.Read(func(fd uintptr) bool {
			var some bool
			some, done = p.pull(fd, buf, sink)
			return some || done
		})
		if err != nil || done {
			return
		}
	}
}

// drain hands sink what has been written so far, and waits for nothing.
func (p *process) drain(sink func([]byte)) {
	_ = p.raw.Control(func(fd uintptr) { // an error means that it is closed
		var buf [8 << 10]byte
		for n := 0; n < drainMost; n++ {
			if some, done := p.pull(fd, buf[:], sink); !some || done {
				return
			}
		}
	})
}

// drainMost bounds what drain takes, for one that is written to without end.
const drainMost = 64

// pull reads once. The lock keeps what two readers get in order.
func (p *process) pull(fd uintptr, buf []byte, sink func([]byte)) (some, done bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, err := syscall.Read(int(fd), buf)
	switch {
	case n > 0:
		sink(buf[:n])
		return true, false
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return err == syscall.EINTR, false
	}
	return false, true
}

// stop ends reading.
func (p *process) stop() { p.output.Close() }

func (p *process) pid() int { return p.cmd.Process.Pid }
