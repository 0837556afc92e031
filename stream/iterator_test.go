package stream

import (
	"encoding/base64"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/flow"
)

func TestIteratorTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, false)
		r := f.create("s", 1)
		start := time.Now()
		f.must(f.Create(t.Context(), ref("wide"), CreateSpec{Shards: 3}))
		var seqs []Sequence
		var times []time.Time
		for _, data := range []string{"a", "b", "c"} {
			time.Sleep(time.Second)
			times = append(times, time.Now())
			seqs = append(seqs, f.put(r, "k", data).Seq)
		}
		time.Sleep(time.Second)
		latest := f.iterate(r, 0, Start{Type: Latest})
		first := f.describe(r).Shards[0].First
		for name, c := range map[string]struct {
			at   Start
			want string
		}{
			"horizon":         {Start{Type: TrimHorizon}, "abc"},
			"latest":          {Start{Type: Latest}, ""},
			"at a":            {Start{Type: AtSequence, Sequence: seqs[0].String()}, "abc"},
			"after a":         {Start{Type: AfterSequence, Sequence: seqs[0].String()}, "bc"},
			"after c":         {Start{Type: AfterSequence, Sequence: seqs[2].String()}, ""},
			"at the start":    {Start{Type: AtSequence, Sequence: first.String()}, "abc"},
			"after the start": {Start{Type: AfterSequence, Sequence: first.String()}, "abc"},
			// AT_TIMESTAMP is inclusive.
			"at b's time":        {Start{Type: AtTime, Time: times[1]}, "bc"},
			"after b's time":     {Start{Type: AtTime, Time: times[1].Add(time.Millisecond)}, "c"},
			"at the present":     {Start{Type: AtTime, Time: time.Now()}, ""},
			"before the horizon": {Start{Type: AtTime, Time: start.Add(-100 * time.Hour)}, "abc"},
		} {
			token := f.iterate(r, 0, c.at)
			for range 2 { // the same iterator gives the same records
				got, p := f.read(token, 0)
				if strings.Join(got, "") != c.want || p.Next == "" || p.Next == token {
					t.Errorf("%s: read %v, want %s", name, got, c.want)
				}
			}
		}
		// LATEST is fixed when minted.
		f.put(r, "k", "d")
		if got, _ := f.read(latest, 0); !slices.Equal(got, []string{"d"}) {
			t.Errorf("latest: %v", got)
		}
		// The starting number of an empty shard works.
		wide := f.describe(ref("wide")).Shards[2]
		for _, at := range []StartType{AtSequence, AfterSequence} {
			token, err := f.Iterator(t.Context(), ref("wide"), "shardId-2", Start{Type: at, Sequence: wide.First.String()})
			f.must(err)
			if got, p := f.read(token, 0); got != nil || p.Next == "" || p.Shard.Index != 2 {
				t.Errorf("%s of an empty shard: %v", at, got)
			}
		}

		// The end of a closed shard: the KCL wants a refusal there.
		f.must(f.Split(t.Context(), r, "0", Hash{1, 0}))
		end := f.describe(r).Shards[0].Last
		if got, p := f.read(f.iterate(r, 0, Start{Type: AtSequence, Sequence: end.String()}), 0); got != nil || p.Next != "" || len(p.Children) != 2 {
			t.Errorf("at the end of a closed shard: %v, next %q, children %v", got, p.Next, p.Children)
		}
		_, err := f.Iterator(t.Context(), r, "0", Start{Type: AfterSequence, Sequence: end.String()})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "SequenceNumber has reached max possible value for the shard") {
			t.Errorf("after the end of a closed shard: %v", err)
		}
		// GetShardIterator on a closed shard works. The last records come with an
		// iterator, and the end after them without: Telegraf drops an end's records.
		got, p := f.read(f.iterate(r, 0, Start{Type: TrimHorizon}), 4)
		if len(got) != 4 || p.Next == "" || p.Children != nil {
			t.Errorf("closed shard: %v, %q, %v", got, p.Next, p.Children)
		}
		if got, p = f.read(p.Next, 4); got != nil || p.Next != "" || len(p.Children) != 2 {
			t.Errorf("after its last records: %v, %q, %v", got, p.Next, p.Children)
		}
	})
}

// kinesalite test/getShardIterator.js; the words for a time to come are those
// of what the KCL depends on.
func TestIteratorRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, false)
		r := f.create("s", 3)
		time.Sleep(1234 * time.Millisecond)
		mint := func(name, shard string, typ StartType, number string) error {
			_, err := f.Iterator(t.Context(), ref(name), shard, Start{Type: typ, Sequence: number})
			return err
		}
		hex := func(s string) string {
			n, _ := new(big.Int).SetString(s, 16)
			return n.String()
		}
		from := func(n, shard, tail string) string {
			return "StartingSequenceNumber " + n + " used in GetShardIterator on shard " + shard + " in stream s under account 000000000000 is invalid" + tail
		}
		foreign := f.describe(r).Shards[1].First
		foreign.Created--
		const either = "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or " +
			"(2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified "
		const zero, other = "shardId-000000000000", " because it did not come from this stream."
		for _, c := range []struct {
			err  error
			kind fault.Kind
			text string
		}{
			{mint("x", "x-2147483647", Latest, ""), fault.NotFound, "Shard shardId-002147483647 in stream x under account 000000000000 does not exist"},
			{mint("x", "2147483648", Latest, ""), fault.NotFound, "Could not find shard 2147483648 in stream x under account 000000000000."},
			{mint("s", "shardId-5", AtSequence, "5"), fault.NotFound, "Shard shardId-000000000005 in stream s under account 000000000000 does not exist"},
			{mint("s", "0", AtSequence, ""), fault.Invalid, either + "AT_SEQUENCE_NUMBER and no StartingSequenceNumber."},
			{mint("s", "0", AfterSequence, ""), fault.Invalid, either + "AFTER_SEQUENCE_NUMBER and no StartingSequenceNumber."},
			{mint("s", "0", Latest, "5"), fault.Invalid, either + "LATEST and also a StartingSequenceNumber."},
			{mint("s", "0", TrimHorizon, "5"), fault.Invalid, either + "TRIM_HORIZON and also a StartingSequenceNumber."},
			{mint("s", "0", AtSequence, "5"), fault.Invalid, "Invalid StartingSequenceNumber. It encodes shardId-000000000005, " +
				"while it was used in a call to a shard with shardId-000000000000"},
			{mint("s", "0", AtSequence, "0"), fault.Invalid, from("21267647932558653966460912964485513216", zero, other)},
			{mint("s", "2", AtSequence, "425352958651173072921826052383309826"), fault.Invalid,
				from("21693000891209827039382739016868823042", "shardId-000000000002", other)},
			{mint("s", "0", AtSequence, hex("f3bb2cc3d7ff7fffffffffffffff0000")), fault.Invalid, from("26227199374821822965252748908982894592", zero, other)},
			{mint("s", "0", AtSequence, hex("13bb2cc3d80000000000000000000000")), fault.Invalid, from("26227199374822427428162556223570313216", zero, ".")},
			{mint("s", "0", AtSequence, hex("20000000000800000000000000000000000000000000002")), fault.Invalid,
				from(hex("20000000000800000000000000000000000000000000002"), zero, ".")},
			{mint("s", "1", AtSequence, foreign.String()), fault.Invalid, from(foreign.String(), "shardId-000000000001", other)},
		} {
			if !fault.Is(c.err, c.kind) || c.err.Error() != c.text {
				t.Errorf("got  %v\nwant %s", c.err, c.text)
			}
		}
		_, err := f.Iterator(t.Context(), r, "0", Start{Type: AtTime, Time: time.Now().Add(time.Second)})
		if !fault.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. ") {
			t.Errorf("a time to come: %v", err)
		}
	})
}

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, false)
		long := strings.Repeat("n", 128)
		r := Ref{Owner{"123456789012", "ap-southeast-99"}, long}
		f.must(f.Create(t.Context(), r, CreateSpec{Shards: 2}))
		token := f.iterate(r, 1, Start{Type: TrimHorizon})
		raw, err := base64.StdEncoding.DecodeString(token)
		if err != nil || len(token) > 512 || string(raw[:8]) != "\x00\x00\x00\x00\x00\x00\x00\x01" {
			t.Errorf("%d characters, %x: %v", len(token), raw[:8], err)
		}
		read := func(o Owner, token string) error {
			var p ReadPage
			defer p.Release()
			return f.Read(t.Context(), o, token, 0, &p)
		}
		f.must(read(r.Owner, token))
		f.must(read(r.Owner, `"`+token+`"`)) // AWS takes it in double quotes
		f.restart(false)
		f.must(read(r.Owner, token)) // it outlives the process
		for name, err := range map[string]error{
			"garbage":         read(r.Owner, "garbage"),
			"empty":           read(r.Owner, ""),
			"quotes":          read(r.Owner, `""`),
			"long":            read(r.Owner, strings.Repeat("A", 516)),
			"forged":          read(r.Owner, base64.StdEncoding.EncodeToString(append([]byte(tokenPrefix), make([]byte, 60)...))),
			"another account": read(Owner{"000000000000", r.Region}, token),
			"another region":  read(Owner{r.Account, "us-east-1"}, token),
		} {
			if !fault.Is(err, fault.Invalid) || err.Error() != "Invalid ShardIterator." {
				t.Errorf("%s: %v", name, err)
			}
		}
		for i := range raw {
			bent := slices.Clone(raw)
			bent[i] ^= 1
			if err := read(r.Owner, base64.StdEncoding.EncodeToString(bent)); !fault.Is(err, fault.Invalid) {
				t.Fatalf("with byte %d bent: %v", i, err)
			}
		}

		time.Sleep(iteratorLife - time.Millisecond)
		f.must(read(r.Owner, token))
		time.Sleep(time.Millisecond)
		// kinesalite test/getRecords.js
		want := regexp.MustCompile(`^Iterator expired\. The iterator was created at time \w{3} \w{3} \d{2} \d{2}:\d{2}:\d{2} UTC \d{4} ` +
			`while right now it is \w{3} \w{3} \d{2} \d{2}:\d{2}:\d{2} UTC \d{4} ` +
			`which is further in the future than the tolerated delay of 300000 milliseconds\.$`)
		if err := read(r.Owner, token); !fault.Is(err, fault.Expired) || !want.MatchString(err.Error()) {
			t.Errorf("after 300 s: %v", err)
		}

		// kinesalite test/getRecords.js: iterators of a deleted stream name a
		// shard that does not exist, until there is one again.
		zero, one := f.iterate(r, 0, Start{Type: Latest}), f.iterate(r, 1, Start{Type: Latest})
		f.must(f.Delete(t.Context(), r, false))
		gone := "Shard shardId-000000000001 in stream " + long + " under account 123456789012 does not exist"
		if err := read(r.Owner, one); !fault.Is(err, fault.NotFound) || err.Error() != gone {
			t.Errorf("of a deleted stream: %v", err)
		}
		f.must(f.Create(t.Context(), r, CreateSpec{Shards: 1}))
		if err := read(r.Owner, one); !fault.Is(err, fault.NotFound) || err.Error() != gone {
			t.Errorf("of a deleted shard: %v", err)
		}
		f.must(read(r.Owner, zero))
	})
}

func FuzzIterator(f *testing.F) {
	t, err := newTokens(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("", "000000000000/us-east-1/s", uint32(0), uint64(7), int64(8))
	f.Add(`"AAAAAAAAAAE="`, "", uint32(1), uint64(1<<63), int64(-1))
	f.Add(t.seal("a/b/c", 1, 2, 3), "a/b/c", uint32(1), uint64(2), int64(3))
	other, _ := newTokens([]byte(strings.Repeat("k", 32)))
	f.Fuzz(func(tt *testing.T, text, stream string, shard uint32, pos uint64, issued int64) {
		sc := new(tokenScratch)
		if it, err := other.open(text, sc); err == nil {
			tt.Fatalf("%q opens as %+v", text, it)
		}
		if len(stream) > 200 {
			return
		}
		it, err := t.open(t.seal(stream, shard, flow.Pos(pos), issued), sc)
		if err != nil || string(it.stream) != stream || it.shard != shard || uint64(it.pos) != pos || it.issued != issued {
			tt.Fatalf("%+v, %v", it, err)
		}
	})
}
