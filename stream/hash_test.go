package stream

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/thalweg/thalweg/fault"
)

func (h Hash) big() *big.Int { return bigOf(limbs{h.Lo, h.Hi}) }

func TestHash(t *testing.T) {
	if got := HashKey("a").String(); got != "16955237001963240173058271559858726497" { // MD5 0cc175b9c0f1b6a831c399e269772661
		t.Errorf("HashKey(a) = %s", got)
	}
	if MaxHash.String() != "340282366920938463463374607431768211455" {
		t.Errorf("MaxHash = %s", MaxHash)
	}
	// kinesalite test/putRecord.js: 2^128 is out of bounds.
	_, err := ParseHash("340282366920938463463374607431768211456")
	if !fault.Is(err, fault.Invalid) || err.Error() != "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. "+
		"Specified value was 340282366920938463463374607431768211456" {
		t.Errorf("2^128: %v", err)
	}
	for _, bad := range []string{"", "-1", "01", "x", strings.Repeat("9", 39)} {
		if _, err := ParseHash(bad); err == nil {
			t.Errorf("%q is a hash key", bad)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		h := Hash{rapid.Uint64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")}
		o := Hash{rapid.Uint64Range(h.Hi, h.Hi|1).Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")}
		back, err := ParseHash(h.String())
		if err != nil || back != h || h.String() != h.big().String() {
			t.Fatalf("%v becomes %v, %v", h, back, err)
		}
		if h.Compare(o) != h.big().Cmp(o.big()) || h.next().prev() != h {
			t.Fatalf("%v against %v", h, o)
		}
	})
}

// AWS has start_i = i * floor(2^128 / N).
func TestEvenStart(t *testing.T) {
	if got := evenStart(1, 3).String(); got != "113427455640312821154458202477256070485" {
		t.Errorf("shard 1 of 3 starts at %s", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint32Range(1, maxShards).Draw(t, "n")
		i := rapid.Uint32Range(0, n-1).Draw(t, "i")
		want := new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(int64(n)))
		if want.Mul(want, big.NewInt(int64(i))).Cmp(evenStart(i, n).big()) != 0 {
			t.Fatalf("shard %d of %d starts at %s, want %s", i, n, evenStart(i, n), want)
		}
	})
}

// kinesalite test/getShardIterator.js.
func TestParseShardID(t *testing.T) {
	for id, want := range map[string]int64{
		"shardId-000000000000": 0, "shardId-0": 0, "0": 0, "shard-12": 12, "a-00002147483647": 2147483647, "-7": 7,
		"2147483648": -1, "shardId-002147483648": -1, "ABKLFD8": -1, "2.14E4": -1, "": -1, "shardId-": -1, "shardId-+1": -1,
	} {
		got, ok := ParseShardID(id)
		if ok != (want >= 0) || ok && int64(got) != want {
			t.Errorf("%q is %d, %v, want %d", id, got, ok, want)
		}
	}
	if ShardID(42) != "shardId-000000000042" {
		t.Error(ShardID(42))
	}
}
