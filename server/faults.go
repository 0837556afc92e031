package server

import (
	"encoding/json"
	"net/http"

	"github.com/thalweg/thalweg/internal/inject"
)

// faultsPath is where rules of faults are set: POST adds one and answers with
// it, GET lists all with their counts, DELETE removes that of ?id=, or all.
const faultsPath = "/admin/faults"

// admin is what the port answers to callers who may ask it.
func (s *Server) admin() map[string]http.Handler {
	return map[string]http.Handler{faultsPath: http.HandlerFunc(s.serveFaults), functionLogsPath: http.HandlerFunc(s.functionLogs)}
}

func (s *Server) serveFaults(w http.ResponseWriter, r *http.Request) {
	if s.faults == nil {
		http.Error(w, "faults on purpose are off: start the server with --faults", http.StatusNotFound)
		return
	}
	var answer any
	switch r.Method {
	case http.MethodGet:
		answer = map[string]any{"rules": s.faults.List()}
	case http.MethodDelete:
		answer = map[string]any{"removed": s.faults.Clear(r.URL.Query().Get("id"))}
	case http.MethodPost:
		var rule inject.Rule
		in := json.NewDecoder(r.Body)
		in.DisallowUnknownFields()
		err := in.Decode(&rule)
		if err == nil {
			rule, err = s.faults.Add(rule)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.logger.Warn("calls will meet faults on purpose", "rule", rule)
		answer = rule
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		http.Error(w, "GET, POST or DELETE", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // a client that left needs no answer
}

// Faults are the rules of faults on purpose; nil unless Config.Faults.
func (s *Server) Faults() *inject.Rules { return s.faults }
