package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/thalweg/thalweg/aggregation"
)

// userRecords is how many the KPL puts.
const userRecords = 100_000

// put is what the KPL says of a user record.
type put struct {
	attempts        int
	shard, sequence string
	found           int // how often it is in the stream
}

// TestKPL starts the KPL, splits a shard while it puts, and holds what it says
// of each user record against what is in the stream once its records are taken
// apart: nothing is lost, changed or under another key, each is where the KPL
// was told that it is, and only what it put again is there more than once.
// KPL_MAIN and KPL_CLASSPATH say which version it is (see ../kpl).
func TestKPL(t *testing.T) {
	secure := must[*url.URL](t)(url.Parse(endpoint(t, "THALWEG_HTTPS")))
	cfg := must[aws.Config](t)(config.LoadDefaultConfig(t.Context(), config.WithBaseEndpoint(endpoint(t, "THALWEG_HTTP"))))
	k := kinesis.NewFromConfig(cfg)
	main := endpoint(t, "KPL_MAIN")
	stream := fmt.Sprintf("kpl-%s-%d", strings.ToLower(main), time.Now().UnixNano())
	must[*kinesis.CreateStreamOutput](t)(k.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &stream, ShardCount: aws.Int32(2)}))
	s := session{t, k, stream}
	s.active()

	kpl := exec.CommandContext(t.Context(), "java", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", endpoint(t, "KPL_CLASSPATH"), main, secure.Hostname(), secure.Port(), os.Getenv("CA_FILE"), stream, fmt.Sprint(userRecords))
	kpl.Stderr = os.Stderr
	stop := must[io.WriteCloser](t)(kpl.StdinPipe())
	out := must[io.ReadCloser](t)(kpl.StdoutPipe())
	if err := kpl.Start(); err != nil {
		t.Fatal(err)
	}
	puts, split := make([]put, userRecords), make(chan error, 1)
	told := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var i int
		var p put
		switch line := lines.Text(); {
		case line == "quarter":
			go func() {
				_, err := k.SplitShard(t.Context(), &kinesis.SplitShardInput{StreamName: &stream, ShardToSplit: aws.String("shardId-000000000000"), NewStartingHashKey: aws.String("42535295865117307932921825928971026432")})
				split <- err
			}()
		case line == "done":
			// Metrics are put once in two seconds.
			for deadline := time.Now().Add(time.Minute); uploaded(t, stream) < userRecords; time.Sleep(100 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Errorf("/metrics has %v user records put, of %d", uploaded(t, stream), userRecords)
					break
				}
			}
			fmt.Fprintln(stop)
		default:
			if n, _ := fmt.Sscanf(line, "record %d %d %s %s", &i, &p.attempts, &p.shard, &p.sequence); n != 4 {
				t.Log(line)
				continue
			}
			puts[i] = p
			told++
		}
	}
	if err := kpl.Wait(); err != nil || told != userRecords {
		t.Fatalf("the KPL told of %d records, and ended with %v", told, err)
	}
	if err := <-split; err != nil {
		t.Fatal(err)
	}

	var apart aggregation.Decoder
	stored, shards := 0, map[string]bool{}
	each := func(shard string, r types.Record) {
		stored++
		shards[shard] = true
		for user := range apart.Records(*r.PartitionKey, r.Data) {
			i, err := strconv.Atoi(strings.Split(string(user.Data)+"  ", " ")[1])
			if err != nil || i < 0 || i >= userRecords || string(user.Data) != fmt.Sprintf("record %d of a producer, with a few words more to be of some length", i) {
				t.Fatalf("nobody put %q", user.Data)
			}
			hash := ""
			if i%10 == 0 && user.Aggregated { // of one that is not, Kinesis does not tell
				hash = fmt.Sprintf("34028236692093846346337460743176%d", 100_000+i)
			}
			if user.PartitionKey != fmt.Sprint("key-", i%997) || user.ExplicitHashKey != hash {
				t.Fatalf("record %d is under %s, %s", i, user.PartitionKey, user.ExplicitHashKey)
			}
			p := &puts[i]
			if p.found++; p.shard == shard && p.sequence == *r.SequenceNumber {
				p.shard = "" // as it was told
			}
		}
		if err := apart.Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, shard := range must[*kinesis.ListShardsOutput](t)(k.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: &stream})).Shards {
		for _, r := range s.drain(*shard.ShardId) {
			each(*shard.ShardId, r)
		}
	}
	lost, elsewhere, again, twice := 0, 0, 0, 0
	for _, p := range puts {
		switch {
		case p.found == 0:
			lost++
		case p.shard != "":
			elsewhere++
		case p.found > 1 && p.attempts == 1:
			twice++
		case p.found > 1:
			again++
		}
	}
	t.Logf("%d user records in %d records of %d shards; %d put again by the KPL are there more than once", userRecords, stored, len(shards), again)
	if lost+elsewhere+twice > 0 {
		t.Errorf("%d lost, %d not where the KPL was told, %d there twice though put once", lost, elsewhere, twice)
	}
	if len(shards) != 4 || stored > userRecords/10 {
		t.Errorf("%d records of %d shards: either the split came too late or nothing was aggregated", stored, len(shards))
	}
}

// drain reads a shard to its tip or end, waiting where it reads too fast.
func (s session) drain(shard string) (records []types.Record) {
	s.t.Helper()
	it := must[*kinesis.GetShardIteratorOutput](s.t)(s.k.GetShardIterator(s.t.Context(), &kinesis.GetShardIteratorInput{
		StreamName: &s.stream, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})).ShardIterator
	for it != nil {
		out, err := s.k.GetRecords(s.t.Context(), &kinesis.GetRecordsInput{ShardIterator: it})
		if _, throttled := errors.AsType[*types.ProvisionedThroughputExceededException](err); throttled {
			pause()
			continue
		}
		if err != nil {
			s.t.Fatal(err)
		}
		records = append(records, out.Records...)
		if it = out.NextShardIterator; len(out.Records) == 0 && *out.MillisBehindLatest == 0 {
			break
		}
	}
	return records
}

// uploaded is the number of user records of a stream that the KPL's metrics tell of.
func uploaded(t *testing.T, stream string) (n float64) {
	t.Helper()
	resp := must[*http.Response](t)(http.Get(endpoint(t, "THALWEG_HTTP") + "/metrics"))
	defer resp.Body.Close()
	text := must[[]byte](t)(io.ReadAll(resp.Body))
	series := regexp.MustCompile(`(?m)^thalweg_cloudwatch_sum\{account="\d+",dimensions="StreamName=` + stream + `",metric="UserRecordsPut",namespace="KinesisProducerLibrary",unit="Count"\} (\S+)$`)
	if m := series.FindSubmatch(text); m != nil {
		n = must[float64](t)(strconv.ParseFloat(string(m[1]), 64))
	}
	return n
}
