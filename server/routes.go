package server

import (
	"io"
	"net/http"
)

// routes is what the server answers besides AWS's operations: /healthz says
// that the process lives, /readyz that it takes requests (not while it drains
// or once the log has failed), /metrics what it does.
func (s *Server) routes() map[string]http.Handler {
	return map[string]http.Handler{
		"/healthz": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") }),
		"/readyz": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if !s.serving.Load() || len(s.failed) > 0 {
				say(w, http.StatusServiceUnavailable, "not ready")
				return
			}
			say(w, http.StatusOK, "ready")
		}),
		"/metrics": s.metrics.Handler(),
		codePath:   http.HandlerFunc(s.code),
	}
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // a client that left needs no answer
}

// measure adds the figures that are read on demand.
func (s *Server) measure() {
	s.metrics.Gauge("thalweg_log_position", "Position that the next record or command will have at least.",
		func() float64 { return float64(s.journal.Next()) })
	s.metrics.Gauge("thalweg_disk_free_bytes", "Bytes that can still be written to the data folder's file system.",
		func() float64 {
			free, _, err := s.cfg.FS.Free(s.cfg.Data)
			if err != nil {
				return -1
			}
			return float64(free)
		})
	exportStreams(s.metrics, s.streams)
	exportMappings(s.metrics, s.mappings)
}
