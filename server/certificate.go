package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"time"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/internal/vfs"
)

// certificate loads the certificate that was given, or the server's own,
// which is made on first start and kept in the data folder.
func (s *Server) certificate() (*tls.Config, error) {
	switch {
	case s.cfg.TLSCert != "" && s.cfg.TLSKey != "":
		pair, err := tls.LoadX509KeyPair(s.cfg.TLSCert, s.cfg.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
	case s.cfg.TLSCert != "" || s.cfg.TLSKey != "":
		return nil, errors.New("a certificate needs both --tls-cert and --tls-key")
	}
	var hosts []string
	if name, err := os.Hostname(); err == nil { // a machine without a name is reached by address
		hosts = append(hosts, name)
	}
	config, ca, err := gate.SelfSigned(s.cfg.FS, path.Join(s.cfg.Data, "tls"), time.Now(), hosts)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	if !s.cfg.Ephemeral {
		s.caFile = ca
	}
	s.authority, err = readWhole(s.cfg.FS, ca)
	return config, err
}

func readWhole(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, err
	}
	return b, nil
}

// Authority is the PEM certificate of the authority that signed the server's
// own, for clients to trust; nil when the certificate was given.
func (s *Server) Authority() []byte { return s.authority }
