package stream

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/shardlog"
)

// AWS's quotas and defaults.
const (
	maxShards       = 20000 // open shards of one owner
	maxCreating     = 5     // streams of one owner that are CREATING at once
	onDemandShards  = 4
	defaultHours    = 24
	maxHours        = 8760
	defaultMaxKiB   = 1024
	largestMaxKiB   = 10240
	maxTags         = 50
	idLetters       = "abcdefghijklmnopqrstuvwxyz0123456789"
	serviceLimitURL = "http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html"
)

// CreateSpec describes a stream to be made.
type CreateSpec struct {
	Shards         int  // wanted for Provisioned; an OnDemand stream starts with 4
	Mode           Mode // "": Provisioned
	Tags           map[string]string
	MaxRecordKiB   int  // 1024 to 10240; 0: 1024
	WarmMiBps      *int // OnDemand only: at least a shard for each
	Auto           bool // spread records over the shards whatever their keys; OnDemand only
	RetentionHours int  // 24 to 8760; 0: 24
}

// Create makes a stream; it is ACTIVE on return. Faults: InUse when the name
// is taken, Limit, Invalid.
func (s *Streams) Create(ctx context.Context, ref Ref, spec CreateSpec) error {
	doc, n, err := spec.document(ref)
	if err != nil {
		return err
	}
	if spec.WarmMiBps != nil {
		if err := s.checkWarm(ref, doc.WarmMiBps); err != nil {
			return err
		}
	}
	for {
		state := s.catalog.View()
		if _, ok := state.Get(streamKey(ref)); ok {
			return fault.New(fault.InUse, "Stream %s under account %s already exists.", ref.Name, ref.Account)
		}
		if err := s.roomFor(ref.Owner, n, true); err != nil {
			return err
		}
		if doc.Mode == OnDemand {
			if err := s.roomOnDemand(ref.Owner); err != nil {
				return err
			}
		}
		first, counter, err := s.reserve(state, n)
		if err != nil {
			return err
		}
		now := nowMilli()
		doc.Created = now
		changes := make([]catalog.Change, 0, n+2)
		changes = append(changes, put(streamKey(ref), catalog.Absent, doc), counter)
		for i := range uint32(n) {
			end := MaxHash
			if int(i) < n-1 {
				end = evenStart(i+1, uint32(n)).prev()
			}
			start := evenStart(i, uint32(n))
			changes = append(changes, put(shardKey(doc.ID, i), catalog.Absent, shardDoc{
				Log: first + shardlog.Shard(i), Reserved: true,
				Start: [2]uint64{start.Hi, start.Lo}, End: [2]uint64{end.Hi, end.Lo},
				Created: now / 1000, Opened: now,
			}))
		}
		conflicted, err := s.propose(ctx, changes...)
		if err != nil {
			return err
		}
		if !conflicted {
			return s.finish(ctx, ref)
		}
	}
}

func (spec *CreateSpec) document(ref Ref) (doc streamDoc, shards int, err error) {
	doc = streamDoc{
		ID: newID(), Status: Creating, Mode: spec.Mode, Hours: spec.RetentionHours, MaxKiB: spec.MaxRecordKiB,
		Tags: maps.Clone(spec.Tags), Auto: spec.Auto,
	}
	if spec.WarmMiBps != nil {
		doc.WarmMiBps = *spec.WarmMiBps
	}
	if spec.Mode != OnDemand && doc.Auto {
		return doc, 0, noStrategy(ref)
	}
	if spec.Mode != OnDemand && spec.WarmMiBps != nil {
		return doc, 0, isProvisioned(ref)
	}
	if doc.Hours == 0 {
		doc.Hours = defaultHours
	}
	if doc.MaxKiB == 0 {
		doc.MaxKiB = defaultMaxKiB
	}
	shards = spec.Shards
	switch doc.Mode {
	case OnDemand:
		shards = max(onDemandShards, doc.WarmMiBps)
	case "":
		doc.Mode = Provisioned
	case Provisioned:
	default:
		return doc, 0, fault.New(fault.Invalid, "StreamMode %s is not one of PROVISIONED and ON_DEMAND.", doc.Mode)
	}
	if shards < 1 {
		return doc, 0, fault.New(fault.Invalid, "ShardCount is required and must be at least 1 for a stream in PROVISIONED mode.")
	}
	if shards > maxShards {
		return doc, 0, tooManyShards(ref.Owner, 0, shards)
	}
	if err := checkMaxRecord(doc.MaxKiB); err != nil {
		return doc, 0, err
	}
	if err := checkHours(doc.Hours); err != nil {
		return doc, 0, err
	}
	doc.NextShard = uint32(shards)
	return doc, shards, roomForTags(ref, "", doc.Tags)
}

// newID makes up a stream's id, in the form that AWS gives its own: 20 letters
// or digits, a hyphen, three more.
func newID() string {
	b := make([]byte, 24)
	rand.Read(b) // it cannot fail: it ends the process instead
	for i := range b {
		// 256 is not a multiple of 36, so some letters are likelier by an
		// eighth: 24 of them are still more than 120 bits.
		b[i] = idLetters[int(b[i])%len(idLetters)]
	}
	b[20] = '-'
	return string(b)
}

// roomFor checks an owner's quotas for n more open shards, and for one more
// stream being created.
func (s *Streams) roomFor(o Owner, n int, create bool) error {
	open, creating := 0, 0
	for d := range s.catalog.View().Range(kindStream, o.prefix()) {
		if _, v, err := s.open(Ref{o, d.Key.Name[len(o.prefix()):]}); err == nil {
			open += v.info.OpenShards
			if v.info.Status == Creating {
				creating++
			}
		}
	}
	if create && creating >= maxCreating {
		return fault.New(fault.Limit, "Account %s already has %d streams in the CREATING state in %s, the most that are allowed.",
			o.Account, creating, o.Region)
	}
	if open+n > maxShards {
		return tooManyShards(o, open, n)
	}
	return nil
}

func tooManyShards(o Owner, open, n int) error {
	return fault.New(fault.Limit, "This request would exceed the shard limit for the account %s in %s. "+
		"Current shard count for the account: %d. Limit: %d. "+
		"Number of additional shards that would have resulted from this request: %d. "+
		"Refer to the AWS Service Limits page (%s) for current limits and how to request higher limits.",
		o.Account, o.Region, open, maxShards, n, serviceLimitURL)
}

// finishCreate makes the log's shards of a CREATING stream and opens it.
func (s *Streams) finishCreate(ctx context.Context, v *view) error {
	numbers := make([]shardlog.Shard, 0, v.doc.NextShard)
	changes := make([]catalog.Change, 1, v.doc.NextShard+1)
	for i := range v.doc.NextShard {
		sd, err := v.stored(i)
		if err != nil {
			return err
		}
		numbers = append(numbers, sd.Log)
		sd.Reserved = false
		changes = append(changes, put(shardKey(v.doc.ID, i), sd.version, sd.shardDoc))
	}
	if err := s.makeShards(ctx, v, numbers); err != nil {
		return err
	}
	doc := v.doc
	doc.Status = Active
	changes[0] = put(streamKey(v.info.Ref), v.version, doc)
	_, err := s.propose(ctx, slices.Clip(changes)...)
	return err
}
