package conformance

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// ownServer is a server that a test has for itself, so that it may kill it.
// THALWEG_BINARY is the program.
type ownServer struct {
	t       *testing.T
	data    string
	address string // of the first start on
	process *exec.Cmd
}

// serve starts a server with nothing but a port and a folder.
func serve(t *testing.T) *ownServer {
	t.Helper()
	s := &ownServer{t: t, data: t.TempDir(), address: "127.0.0.1:0"}
	s.start()
	t.Cleanup(s.kill)
	return s
}

// start starts it where it was before.
func (s *ownServer) start() {
	s.t.Helper()
	s.process = exec.Command(endpoint(s.t, "THALWEG_BINARY"), "serve", "--listen", s.address, "--data", s.data, "--log-level", "warn")
	s.process.Stderr = os.Stderr
	out := must[io.ReadCloser](s.t)(s.process.StdoutPipe())
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	line := must[string](s.t)(bufio.NewReader(out).ReadString('\n'))
	m := regexp.MustCompile(`http://([0-9.:]+)`).FindStringSubmatch(line)
	if m == nil {
		s.t.Fatalf("the server says %q", line)
	}
	s.address = m[1]
}

// kill ends it as a crash does.
func (s *ownServer) kill() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}

func (s *ownServer) plain() string { return "http://" + s.address }

func (s *ownServer) authority() string { return filepath.Join(s.data, "tls", "ca.pem") }
