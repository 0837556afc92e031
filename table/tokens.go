package table

// tokens remembers for ten minutes, by the times of the proposers, which
// transactions were performed under which client request token.
type tokens struct {
	digests map[string]string
	order   []token // oldest first
}

type token struct {
	name, digest string
	at           int64 // Unix milliseconds
}

const tokenLife = 10 * 60 * 1000

func newTokens() tokens { return tokens{digests: map[string]string{}} }

// find forgets what is too old by now and looks for a token.
func (t *tokens) find(name string, now int64) (digest string, ok bool) {
	for len(t.order) > 0 && t.order[0].at+tokenLife <= now {
		delete(t.digests, t.order[0].name)
		t.order = t.order[1:]
	}
	digest, ok = t.digests[name]
	return digest, ok
}

func (t *tokens) add(name, digest string, now int64) {
	if n := len(t.order); n > 0 { // proposers' clocks may disagree; the order must not
		now = max(now, t.order[n-1].at)
	}
	t.digests[name] = digest
	t.order = append(t.order, token{name, digest, now})
}
