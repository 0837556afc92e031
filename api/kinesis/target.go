package kinesis

import (
	"strings"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/stream"
)

// target is how a request names a stream: by name, by ARN, or by both when
// they agree. StreamId, which newer clients may send and AWS reserves, is a
// member nobody knows and so ignored. It comes last in requests, as AWS's
// texts have it.
type target struct {
	StreamName *string `aws:"min=1,max=128,pattern=[a-zA-Z0-9_.-]+"`
	StreamARN  *string `aws:"min=1,max=2048,pattern=arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+"`
}

func (t *target) resolve(c *gate.Call) (stream.Ref, error) {
	return resolve(c, text(t.StreamName), text(t.StreamARN))
}

// resolve finds the stream that a request names, for all operations. Either
// of name and arn may be "", for absent; both are within their constraints.
//
// Where neither is given AWS names the missing member among the other broken
// constraints; here it is told only once all others are kept.
func resolve(c *gate.Call, name, arn string) (stream.Ref, error) {
	own := stream.Owner{Account: c.Account, Region: c.Region}
	if arn == "" {
		c.Resource = name
		if name == "" {
			return stream.Ref{}, fault.New(fault.Constraint,
				"1 validation error detected: Value null at 'streamName' failed to satisfy constraint: Member must not be null")
		}
		return stream.Ref{Owner: own, Name: name}, nil
	}
	ref, ok := parseARN(arn)
	c.Resource = ref.Name
	switch {
	case !ok:
		return ref, fault.New(fault.Invalid, "StreamARN %s is not the ARN of a stream.", arn)
	case ref.Account != c.Account:
		_, op, _ := strings.Cut(c.Target, ".")
		return ref, fault.New(fault.Denied, "User: arn:aws:iam::%s:root is not authorized to perform: kinesis:%s on resource: %s "+
			"because no resource-based policy allows the kinesis:%s action", c.Account, op, arn, op)
	case ref.Region != c.Region:
		return ref, fault.New(fault.Invalid, "StreamARN %s is of another region than %s, to which the request was sent.", arn, c.Region)
	case name != "" && name != ref.Name:
		return ref, fault.New(fault.Invalid, "StreamName %s and StreamARN %s are of different streams.", name, arn)
	}
	return ref, nil
}

// parseARN takes a stream's ARN apart: arn:aws:kinesis:region:account:stream/name.
func parseARN(arn string) (ref stream.Ref, ok bool) {
	rest, ok := strings.CutPrefix(arn, "arn:aws")
	if !ok {
		return ref, false
	}
	partition, rest, ok := strings.Cut(rest, ":kinesis:")
	if !ok || !made(partition, "abcdefghijklmnopqrstuvwxyz-") {
		return ref, false
	}
	ref.Region, rest, ok = strings.Cut(rest, ":")
	if !ok || ref.Region == "" || !made(ref.Region, "abcdefghijklmnopqrstuvwxyz0123456789-") {
		return ref, false
	}
	ref.Account, rest, ok = strings.Cut(rest, ":")
	if !ok || len(ref.Account) != 12 || !made(ref.Account, "0123456789") {
		return ref, false
	}
	ref.Name, ok = strings.CutPrefix(rest, "stream/")
	return ref, ok && validName(ref.Name)
}

// validName reports whether a stream may have a name.
func validName(name string) bool {
	if name == "" || len(name) > 128 {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '.', c == '-':
		default:
			return false
		}
	}
	return true
}

// made reports whether all of s are among letters.
func made(s, letters string) bool { return strings.Trim(s, letters) == "" }

// shardIndex reads the name of a shard of ref, in the words AWS has for one
// that can be nobody's name.
func shardIndex(ref stream.Ref, id string) (uint32, error) {
	index, ok := stream.ParseShardID(id)
	if !ok {
		return 0, fault.New(fault.NotFound, "Could not find shard %s in stream %s under account %s.", id, ref.Name, ref.Account)
	}
	return index, nil
}
