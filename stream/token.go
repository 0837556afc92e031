package stream

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/flow"
)

// iteratorLife is how long an iterator may be used.
const iteratorLife = 300 * time.Second

// tokenPrefix opens every iterator, as it does at AWS.
const tokenPrefix = "\x00\x00\x00\x00\x00\x00\x00\x01"

// maxToken is the longest iterator that is looked at; AWS bounds them so.
const maxToken = 512

// iterator is a place in a shard, and when it was given out. It names the
// stream, not its id: AWS lets an iterator of a deleted stream be used on one
// made anew under the name, if it has the shard (kinesalite
// test/getRecords.js), and since positions only grow that is harmless.
type iterator struct {
	stream []byte // catalog name of the stream
	shard  uint32
	pos    flow.Pos
	issued int64 // Unix milliseconds
}

// tokens seals iterators so that clients can neither read nor make them. The
// key is in the catalog: an iterator outlives the process that gave it out.
type tokens struct {
	aead cipher.AEAD
	// A nonce is four random bytes of this process and a count: within a
	// process none comes twice, and two processes meet by chance only.
	salt  uint32
	count atomic.Uint64
	pool  sync.Pool // of *tokenScratch
}

type tokenScratch struct {
	plain [32 + 256]byte
	raw   [maxToken]byte
	text  [maxToken]byte
}

// secret returns the key that iterators are sealed with, which the first
// process to need it makes.
func (s *Streams) secret(ctx context.Context) ([]byte, error) {
	key := catalog.Key{Kind: kindSecret, Name: "iterator"}
	for {
		if d, ok := s.catalog.View().Get(key); ok {
			return d.Value, nil
		}
		fresh := make([]byte, 32)
		rand.Read(fresh)
		if _, err := s.propose(ctx, catalog.Change{Key: key, If: catalog.Absent, Value: fresh}); err != nil {
			return nil, fmt.Errorf("keep the key of iterators: %w", err)
		}
	}
}

func newTokens(key []byte) (*tokens, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("key of iterators: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("key of iterators: %w", err)
	}
	t := &tokens{aead: aead}
	var seed [12]byte
	rand.Read(seed[:])
	t.salt = binary.LittleEndian.Uint32(seed[:])
	t.count.Store(binary.LittleEndian.Uint64(seed[4:]))
	t.pool.New = func() any { return new(tokenScratch) }
	return t, nil
}

// seal makes a token: base64 of the prefix, a nonce and the sealed iterator.
func (t *tokens) seal(stream string, shard uint32, pos flow.Pos, issued int64) string {
	sc := t.pool.Get().(*tokenScratch)
	defer t.pool.Put(sc)
	plain := binary.LittleEndian.AppendUint32(sc.plain[:0], shard)
	plain = binary.LittleEndian.AppendUint64(plain, uint64(pos))
	plain = binary.LittleEndian.AppendUint64(plain, uint64(issued))
	plain = append(plain, stream...)
	raw := append(sc.raw[:0], tokenPrefix...)
	raw = binary.LittleEndian.AppendUint32(raw, t.salt)
	raw = binary.LittleEndian.AppendUint64(raw, t.count.Add(1))
	raw = t.aead.Seal(raw, raw[len(tokenPrefix):], plain, raw[:len(tokenPrefix)])
	return string(base64.StdEncoding.AppendEncode(sc.text[:0], raw))
}

var errToken = errors.New("not an iterator")

// open takes a token apart. The iterator's memory is sc's.
func (t *tokens) open(token string, sc *tokenScratch) (iterator, error) {
	// AWS takes an iterator that comes in double quotes.
	if n := len(token); n > 2 && token[0] == '"' && token[n-1] == '"' {
		token = token[1 : n-1]
	}
	if len(token) > maxToken {
		return iterator{}, errToken
	}
	const head = len(tokenPrefix) + 12
	raw, err := base64.StdEncoding.AppendDecode(sc.raw[:0], append(sc.text[:0], token...))
	if err != nil || len(raw) < head || string(raw[:len(tokenPrefix)]) != tokenPrefix {
		return iterator{}, errToken
	}
	plain, err := t.aead.Open(raw[head:head], raw[len(tokenPrefix):head], raw[head:], raw[:len(tokenPrefix)])
	if err != nil || len(plain) < 20 {
		return iterator{}, errToken
	}
	return iterator{
		shard:  binary.LittleEndian.Uint32(plain),
		pos:    flow.Pos(binary.LittleEndian.Uint64(plain[4:])),
		issued: int64(binary.LittleEndian.Uint64(plain[12:])),
		stream: plain[20:],
	}, nil
}

// utcDate is how AWS writes the times in its message about an old iterator.
const utcDate = "Mon Jan 02 15:04:05 MST 2006"

// fresh checks an iterator's age.
func (it *iterator) fresh(now time.Time) error {
	if now.UnixMilli()-it.issued < iteratorLife.Milliseconds() {
		return nil
	}
	return fault.New(fault.Expired, "Iterator expired. The iterator was created at time %s while right now it is %s "+
		"which is further in the future than the tolerated delay of %d milliseconds.",
		time.UnixMilli(it.issued).UTC().Format(utcDate), now.UTC().Format(utcDate), iteratorLife.Milliseconds())
}
