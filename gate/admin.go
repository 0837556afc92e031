package gate

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"time"
)

// AdminService is what signatures of calls to Config.Admin are scoped to.
const AdminService = "thalweg"

const maxAdmin = 64 << 10 // bytes of a body

// admin lets h answer if the caller may ask it. Where signatures are verified
// they have to be true even on this machine: a proxy may stand there.
func (g *Gate) admin(w http.ResponseWriter, r *http.Request, h http.Handler) {
	x := g.exchanges.Get().(*exchange)
	defer g.release(x)
	x.call.Now = time.Now()
	x.identify()
	if r.Header["Origin"] != nil || r.Header["Sec-Fetch-Site"] != nil {
		http.Error(w, "this is not for web pages", http.StatusForbidden)
		return
	}
	if err := x.read(r, &g.buffers, maxAdmin); err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	x.call.Body = x.body
	if g.cfg.Auth.Mode == Verify {
		if err := g.authenticate(r, x, AdminService); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
	} else if !local(r.RemoteAddr) {
		http.Error(w, "this is for callers on the server's own machine, unless signatures are verified", http.StatusForbidden)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(x.body))
	h.ServeHTTP(w, r)
}

// local tells whether a peer is on this machine: loopback, or a pipe.
func local(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address == "pipe"
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
