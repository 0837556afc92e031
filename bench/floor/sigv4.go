package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"net/http"
	"strings"
	"sync"
)

// signingKey is the derived key of the day, kept with its hash ready keyed.
type signingKey struct {
	mu    sync.Mutex
	scope string
	free  []hash.Hash
	key   []byte
}

var errSignature = errors.New("signature does not match")

// verify checks the request's signature over its headers and body.
func (s *server) verify(r *http.Request, b *scratch) error {
	auth := r.Header.Get("Authorization")
	_, rest, ok := strings.Cut(auth, "Credential=")
	if !ok {
		return errSignature
	}
	cred, rest, _ := strings.Cut(rest, ", SignedHeaders=")
	signed, sig, ok := strings.Cut(rest, ", Signature=")
	_, scope, ok2 := strings.Cut(cred, "/")
	if !ok || !ok2 {
		return errSignature
	}
	c := append(b.canon[:0], "POST\n/\n\n"...)
	for rest := signed; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, ";")
		c = append(append(c, name...), ':')
		switch name {
		case "host":
			c = append(c, r.Host...)
		case "content-length":
			c = append(c, r.Header.Get("Content-Length")...)
		default:
			c = append(c, r.Header.Get(name)...)
		}
		c = append(c, '\n')
	}
	c = append(append(append(c, '\n'), signed...), '\n')
	body := sha256.Sum256(b.body)
	c = hex.AppendEncode(c, body[:])
	canon := sha256.Sum256(c)
	c = append(append(c[:0], "AWS4-HMAC-SHA256\n"...), r.Header.Get("X-Amz-Date")...)
	c = append(append(append(c, '\n'), scope...), '\n')
	c = hex.AppendEncode(c, canon[:])
	b.canon = c
	h := s.key.take(s.secret, scope)
	h.Write(c)
	var sum [64]byte
	got := hex.AppendEncode(sum[:0:64], h.Sum(nil))
	s.key.give(h)
	if !hmac.Equal(got, []byte(sig)) {
		return errSignature
	}
	return nil
}

func (k *signingKey) take(secret, scope string) hash.Hash {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.scope != scope {
		key := []byte("AWS4" + secret)
		for part := range strings.SplitSeq(scope, "/") {
			m := hmac.New(sha256.New, key)
			m.Write([]byte(part))
			key = m.Sum(nil)
		}
		k.key, k.scope, k.free = key, scope, nil
	}
	if n := len(k.free); n > 0 {
		h := k.free[n-1]
		k.free = k.free[:n-1]
		h.Reset()
		return h
	}
	return hmac.New(sha256.New, k.key)
}

func (k *signingKey) give(h hash.Hash) {
	k.mu.Lock()
	k.free = append(k.free, h)
	k.mu.Unlock()
}
