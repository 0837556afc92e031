package function

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// memory is the bytes that a process and its descendants have to themselves:
// resident pages that no file backs (RssAnon of proc_pid_status(5)), so that an
// interpreter's own code, which all instances share, counts for none of them.
func memory(pid int) (bytes int64) {
	seen := 0
	var visit func(pid int)
	visit = func(pid int) {
		if seen++; seen > 1000 {
			return
		}
		p := strconv.Itoa(pid)
		if b, err := os.ReadFile("/proc/" + p + "/statm"); err == nil {
			var size, resident, shared int64
			if n, _ := fmt.Sscan(string(b), &size, &resident, &shared); n == 3 {
				bytes += (resident - shared) * int64(os.Getpagesize())
			}
		}
		children, err := os.ReadFile("/proc/" + p + "/task/" + p + "/children")
		if err != nil {
			return
		}
		for _, child := range strings.Fields(string(children)) {
			if c, err := strconv.Atoi(child); err == nil {
				visit(c)
			}
		}
	}
	visit(pid)
	return bytes
}

// killMarked kills every process whose mark begins with prefix: what has left
// its group, and what a server that was killed has left behind.
func killMarked(prefix string) (killed int) {
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	want := []byte("\x00" + markName + "=" + prefix)
	for _, d := range procs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, err := os.ReadFile("/proc/" + d.Name() + "/environ")
		if err != nil || !bytes.Contains(append([]byte{0}, env...), want) {
			continue
		}
		if syscall.Kill(pid, syscall.SIGKILL) == nil {
			killed++
		}
	}
	return killed
}
