package server

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/thalweg/thalweg/api/lambda"
	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/stream"
)

// Functions says how functions run. The zero Functions runs them here, as
// processes.
type Functions struct {
	Processes   int    // most at once, of all functions; 0: four per processor, at least 8
	Concurrency int    // most invocations under way at once of an account in a region; 0: 1000
	Endpoint    string // URL of a Lambda-compatible endpoint that runs them instead
}

// openFunctions joins functions to the catalog. Processes see only the
// system's files, so what functions are unpacked to lies there even where all
// else is in memory.
func (s *Server) openFunctions(facts *catalog.Catalog) error {
	work := path.Join(s.cfg.Data, "functions", "work")
	if s.cfg.Ephemeral || s.cfg.FS != vfs.OS() {
		s.scratch = filepath.Join(os.TempDir(), "thalweg-"+rand.Text())
		work = s.scratch
	}
	work, err := filepath.Abs(filepath.FromSlash(work))
	if err != nil {
		return fmt.Errorf("find the data folder: %w", err)
	}
	rand.Read(s.codeKey[:])
	cfg := function.Config{
		Catalog: facts, FS: s.cfg.FS, Dir: path.Join(s.cfg.Data, "functions"), Work: work, Logger: s.logger,
		Home: s.home, Credentials: s.functionCredentials,
		Deliver: s.deliver, Delivers: func(service string) bool { return service == "kinesis" },
		Processes: s.cfg.Functions.Processes, Concurrency: s.cfg.Functions.Concurrency,
	}
	if s.cfg.Functions.Endpoint != "" {
		if cfg.Forward, err = s.forward(s.cfg.Functions.Endpoint); err != nil {
			return err
		}
	}
	s.functions = function.New(cfg)
	return nil
}

// home is the server's URL for processes on this machine; "" when it has none.
func (s *Server) home() string {
	at, ok := s.listener.Addr().(*net.TCPAddr)
	if !ok {
		return ""
	}
	host := at.IP
	if host.IsUnspecified() {
		host = net.IPv4(127, 0, 0, 1)
	}
	return "http://" + net.JoinHostPort(host.String(), strconv.Itoa(at.Port))
}

// functionCredentials are what a function of an account signs its calls with.
func (s *Server) functionCredentials(account, _ string) function.Credentials {
	if s.auth.Mode != gate.Verify {
		return function.Credentials{AccessKey: account, Secret: "thalweg"}
	}
	for _, cred := range s.cfg.Credentials {
		if cred.Account == account || cred.Account == "" && account == "000000000000" {
			c := s.auth.Issue(gate.Session{
				Parent: cred.AccessKeyID, Account: account, ARN: "arn:aws:sts::" + account + ":assumed-role/function/function",
				UserID: "AROAFUNCTION:function", Expires: time.Now().Add(12 * time.Hour).Truncate(time.Second),
			})
			return function.Credentials{AccessKey: c.AccessKey, Secret: c.Secret, Token: c.Token}
		}
	}
	return function.Credentials{AccessKey: "none", Secret: "none"}
}

func (s *Server) lambdaConfig() lambda.Config {
	cfg := lambda.Config{Location: s.codeURL}
	if s.cfg.Remote.Endpoints["s3"] != "" {
		cfg.Fetch = s.fetch
	}
	return cfg
}

// codePath is where functions' code can be read by who has a URL of it.
const codePath = "/functions/code"

// codeURL is a URL of an archive that is good for ten minutes.
func (s *Server) codeURL(sum string, now time.Time) string {
	expires := strconv.FormatInt(now.Add(10*time.Minute).Unix(), 10)
	return s.home() + codePath + "?sha256=" + sum + "&expires=" + expires + "&token=" + s.codeToken(sum, expires)
}

func (s *Server) codeToken(sum, expires string) string {
	m := hmac.New(sha256.New, s.codeKey[:])
	m.Write([]byte(sum + " " + expires))
	return hex.EncodeToString(m.Sum(nil))
}

func (s *Server) code(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	sum, expires := q.Get("sha256"), q.Get("expires")
	until, err := strconv.ParseInt(expires, 10, 64)
	if err != nil || !hmac.Equal([]byte(q.Get("token")), []byte(s.codeToken(sum, expires))) || time.Now().Unix() > until {
		say(w, http.StatusForbidden, "this URL is not, or no longer, good: ask GetFunction for another")
		return
	}
	archive, err := s.functions.Archive(sum)
	if err != nil {
		say(w, http.StatusNotFound, "this code is gone")
		return
	}
	w.Header().Set("Content-Type", "application/zip")
	_, _ = w.Write(archive) // a client that left needs no answer
}

// functionLogsPath is where a function's log is read: GET ?name=&account=
// &region=&bytes= answers with lines, the last ones.
const functionLogsPath = "/admin/functions/logs"

func (s *Server) functionLogs(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	most := int64(1 << 20)
	if text := q.Get("bytes"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			http.Error(w, "bytes is a positive number", http.StatusBadRequest)
			return
		}
		most = n
	}
	lines, err := s.functions.Logs(function.Name{Account: q.Get("account"), Region: q.Get("region"), Function: q.Get("name")}, most)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(lines) // a client that left needs no answer
}

// deliver puts the record of an event into the stream that is its destination.
func (s *Server) deliver(ctx context.Context, account, arn string, record []byte) error {
	parts := strings.SplitN(arn, ":", 6)
	name, ok := strings.CutPrefix(parts[len(parts)-1], "stream/")
	if len(parts) != 6 || !ok {
		return fmt.Errorf("%s is no stream's ARN", arn)
	}
	if parts[4] != account {
		return fmt.Errorf("%s belongs to another account", arn)
	}
	recs := []stream.PutRecord{{Key: rand.Text(), Size: len(record)}}
	ref := stream.Ref{Owner: stream.Owner{Account: parts[4], Region: parts[3]}, Name: name}
	err := s.streams.Put(ctx, ref, recs, func(_ int, dst []byte) error { copy(dst, record); return nil })
	if err == nil {
		err = recs[0].Err
	}
	return err
}
