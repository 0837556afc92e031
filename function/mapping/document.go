package mapping

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/function/mapping/shard"
)

// The catalog documents of this package.
const (
	kindMapping = "mapping"      // account/region/UUID: Mapping
	kindPair    = "mappingPair"  // SHA-256 of source and function: pairDoc
	kindShard   = "mappingShard" // UUID/stream id/index: shard.State
)

// pairDoc says that a source has a mapping to a function.
type pairDoc struct {
	UUID string `json:"uuid"`
}

func (o Owner) prefix() string { return o.Account + "/" + o.Region + "/" }

func mappingKey(o Owner, uuid string) catalog.Key {
	return catalog.Key{Kind: kindMapping, Name: o.prefix() + uuid}
}

// pairKey names a source and a function, whichever version of it.
func pairKey(source, function string) catalog.Key {
	sum := sha256.Sum256([]byte(source + "\n" + function))
	return catalog.Key{Kind: kindPair, Name: hex.EncodeToString(sum[:])}
}

func shardKey(uuid, stream string, index uint32) catalog.Key {
	return catalog.Key{Kind: kindShard, Name: fmt.Sprintf("%s/%s/%010d", uuid, stream, index)}
}

// put makes the change that writes v as JSON.
func put(k catalog.Key, version uint64, v any) catalog.Change {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		panic(fmt.Sprintf("encode %s: %v", k, err)) // plain structs always encode
	}
	return catalog.Change{Key: k, If: version, Value: b}
}

// decodeMapping reads a mapping's document.
func decodeMapping(d catalog.Doc) (*Mapping, error) {
	m := &Mapping{version: d.Version}
	if err := json.Unmarshal(d.Value, m); err != nil {
		return nil, fmt.Errorf("decode catalog document %s: %w", d.Key, err)
	}
	parts := strings.SplitN(d.Key.Name, "/", 3)
	if len(parts) != 3 {
		return nil, fmt.Errorf("catalog document %s names no mapping", d.Key)
	}
	m.Owner, m.UUID = Owner{parts[0], parts[1]}, parts[2]
	return m, nil
}

// stateOf reads how far a shard is dealt with; the zero State where nothing is
// kept.
func (m *Mappings) stateOf(k catalog.Key) (s shard.State, err error) {
	d, ok := m.catalog.View().Get(k)
	if !ok {
		return s, nil
	}
	if err := json.Unmarshal(d.Value, &s); err != nil {
		return s, fmt.Errorf("decode catalog document %s: %w", k, err)
	}
	return s, nil
}

// newID is a random UUID.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func decodePair(d catalog.Doc) (p pairDoc, err error) {
	return p, json.Unmarshal(d.Value, &p)
}

// nameOf is the name in a function's ARN.
func nameOf(arn string) string {
	parts := strings.Split(arn, ":")
	if len(parts) < 7 {
		return arn
	}
	return parts[6]
}
