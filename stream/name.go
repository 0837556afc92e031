package stream

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/thalweg/thalweg/fault"
)

// Owner is who a stream belongs to, and where. Names are unique within it.
type Owner struct{ Account, Region string }

// Ref names a stream.
type Ref struct {
	Owner
	Name string
}

// ARN returns the Amazon resource name of the stream.
func (r Ref) ARN() string {
	return "arn:" + partition(r.Region) + ":kinesis:" + r.Region + ":" + r.Account + ":stream/" + r.Name
}

// partition is the part of AWS that a region belongs to, by the start of the
// region's name. (botocore's partitions.json)
func partition(region string) string {
	for _, p := range [...]struct{ start, partition string }{
		{"cn-", "aws-cn"}, {"us-gov-", "aws-us-gov"}, {"us-iso-", "aws-iso"}, {"us-isob-", "aws-iso-b"},
		{"eu-isoe-", "aws-iso-e"}, {"us-isof-", "aws-iso-f"}, {"eusc-", "aws-eusc"},
	} {
		if strings.HasPrefix(region, p.start) {
			return p.partition
		}
	}
	return "aws"
}

// prefix starts the catalog names of all the owner's streams. Neither accounts
// nor regions nor stream names contain a slash.
func (o Owner) prefix() string { return o.Account + "/" + o.Region + "/" }

func (r Ref) docName() string { return r.prefix() + r.Name }

func parseDocName(s string) (Ref, bool) {
	account, rest, ok1 := strings.Cut(s, "/")
	region, name, ok2 := strings.Cut(rest, "/")
	return Ref{Owner{account, region}, name}, ok1 && ok2
}

// ShardID writes the name of a stream's shard: shardId-000000000042.
func ShardID(index uint32) string { return fmt.Sprintf("shardId-%012d", index) }

// ParseShardID reads a shard's index out of its name as AWS does: what counts
// is the number after the last hyphen, so that shardId-0 and 0 name the same
// shard. The number is below 2^31. (kinesalite test/getShardIterator.js)
func ParseShardID(id string) (uint32, bool) {
	digits := id[strings.LastIndexByte(id, '-')+1:]
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(digits, 10, 31)
	return uint32(n), err == nil
}

// The faults about names, in AWS's words.

func noStream(r Ref) error {
	return fault.New(fault.NotFound, "Stream %s under account %s not found.", r.Name, r.Account)
}

// noShard is what the control plane says; id is a shard's full name, or
// whatever it was that names no shard.
func noShard(r Ref, id string) error {
	return fault.New(fault.NotFound, "Could not find shard %s in stream %s under account %s.", id, r.Name, r.Account)
}

// goneShard is what the data plane says.
func goneShard(r Ref, index uint32) error {
	return fault.New(fault.NotFound, "Shard %s in stream %s under account %s does not exist", ShardID(index), r.Name, r.Account)
}

func notActive(r Ref, s Status) error {
	return fault.New(fault.InUse, "Stream %s under account %s not ACTIVE, instead in state %s", r.Name, r.Account, s)
}

// notReady is for what an UPDATING stream allows as well, in AWS's words as
// aws/aws-sdk-java-v2#5949 quotes them.
func notReady(r Ref, s Status) error {
	return fault.New(fault.InUse, "Stream %s under account %s not ACTIVE or UPDATING, instead in state %s", r.Name, r.Account, s)
}

func isOnDemand(r Ref) error {
	return fault.New(fault.Constraint, "Request is invalid. Stream %s under account %s is in On-Demand mode.", r.Name, r.Account)
}

func isProvisioned(r Ref) error {
	return fault.New(fault.Constraint, "Request is invalid. Stream %s under account %s is in Provisioned mode.", r.Name, r.Account)
}

// noStrategy is for record distribution, which AWS calls an invalid argument
// where other settings of the wrong mode are a failed validation.
func noStrategy(r Ref) error {
	return fault.New(fault.Invalid, "Request is invalid. Stream %s under account %s is in Provisioned mode.", r.Name, r.Account)
}

func rateExceeded(r Ref, index uint32) error {
	return fault.New(fault.Throttled, "Rate exceeded for shard %s in stream %s under account %s.", ShardID(index), r.Name, r.Account)
}
