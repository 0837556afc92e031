package server

import (
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// listenProfiles binds the port of Go's profiles, on loopback only: they show
// what is in memory, and taking one costs time.
func listenProfiles(address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	if !(Config{Listen: address}).loopback() {
		return nil, fmt.Errorf("refusing to serve profiles on %s, which other machines can reach: give --pprof a loopback address such as 127.0.0.1:6060", address)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for profiles: %w", err)
	}
	return l, nil
}

// serveProfiles serves them until the server it returns is closed.
func serveProfiles(l net.Listener) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	srv := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A web page that lets its own name point at loopback gets nothing.
		if !(Config{Listen: r.Host}).loopback() {
			http.Error(w, "profiles are served under a loopback address only", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})}
	go func() { _ = srv.Serve(l) }() // it ends when it is closed
	return srv
}
