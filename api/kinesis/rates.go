package kinesis

import (
	"context"
	"reflect"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/gate/wire"
	"github.com/thalweg/thalweg/stream"
)

// rate is how many calls of an operation AWS takes in a second: of one account
// in one region, or about one stream.
type rate struct {
	perSecond int
	perStream bool
}

// rates is AWS's table of them (AWS documents none for
// operations that are not here). The data plane's are the shards' affair.
func rates() map[string]rate {
	return map[string]rate{
		"AddTagsToStream":                        {5, false},
		"CreateStream":                           {5, false},
		"DecreaseStreamRetentionPeriod":          {5, false},
		"DeleteStream":                           {5, false},
		"DeregisterStreamConsumer":               {5, true},
		"DescribeAccountSettings":                {5, false},
		"DescribeLimits":                         {1, false},
		"DescribeStream":                         {10, false},
		"DescribeStreamConsumer":                 {20, true},
		"DescribeStreamSummary":                  {20, false},
		"DisableEnhancedMonitoring":              {5, false},
		"EnableEnhancedMonitoring":               {5, false},
		"IncreaseStreamRetentionPeriod":          {5, false},
		"ListShards":                             {1000, true},
		"ListStreamConsumers":                    {5, true},
		"ListStreams":                            {5, false},
		"ListTagsForResource":                    {5, false},
		"ListTagsForStream":                      {5, false},
		"MergeShards":                            {5, false},
		"RegisterStreamConsumer":                 {5, false},
		"RemoveTagsFromStream":                   {5, false},
		"SplitShard":                             {5, false},
		"TagResource":                            {5, false},
		"UntagResource":                          {5, false},
		"UpdateAccountSettings":                  {5, false},
		"UpdateMaxRecordSize":                    {5, false},
		"UpdateShardCount":                       {10, false},
		"UpdateStreamMode":                       {5, false},
		"UpdateStreamRecordDistributionStrategy": {5, false},
		"UpdateStreamWarmThroughput":             {5, false},
	}
}

// about is what of any request tells which stream it is about.
type about struct {
	StreamName, StreamARN, ResourceARN, ConsumerARN, NextToken *string
}

// limitRates makes the operations of the table refuse calls beyond their rates
// while limits are on. A call counts before it is known whether it is a good
// one.
func (a *api) limitRates(ops []gate.Op) []gate.Op {
	shape, err := wire.Compile(reflect.TypeFor[about]())
	if err != nil {
		panic(err) // a struct of strings
	}
	table := rates()
	for i := range ops {
		op, r := ops[i], table[ops[i].Name]
		if r.perSecond == 0 || op.Serve == nil {
			continue
		}
		ops[i].Serve = func(ctx context.Context, c *gate.Call, dst []byte) ([]byte, error) {
			if !a.streams.Limited() {
				return op.Serve(ctx, c, dst)
			}
			key := stream.RateKey{Owner: stream.Owner{Account: c.Account, Region: c.Region}, Operation: op.Name}
			if r.perStream {
				key.Stream = streamOf(shape, c)
			}
			if !a.rates.Take(key, r.perSecond, c.Now.UnixNano()) {
				return dst, errRate(c, streamOf(shape, c))
			}
			return op.Serve(ctx, c, dst)
		}
	}
	return ops
}

// streamOf is the name of the stream that a request is about, or "".
func streamOf(shape *wire.Shape, c *gate.Call) string {
	var in about
	if shape.Decode(c.Format, c.Body, &in) != nil {
		return "" // which the operation will say
	}
	return streamNamed(c, &in)
}

func streamNamed(c *gate.Call, in *about) string {
	if name := text(in.StreamName); name != "" {
		return name
	}
	for _, arn := range []*string{in.StreamARN, in.ResourceARN, in.ConsumerARN} {
		if arn == nil {
			continue
		}
		if r, err := resolveResource(c, *arn); err == nil {
			return r.Name
		}
	}
	if in.NextToken != nil {
		if p, err := parsePlace("ListShards", *in.NextToken, c.Now); err == nil {
			return p.Stream
		}
	}
	return ""
}

// errRate is AWS's text where a stream is known (boto/botocore pull request
// 821); where none is, it was never recorded.
func errRate(c *gate.Call, name string) error {
	if name == "" {
		return fault.New(fault.Limit, "Rate exceeded for account %s.", c.Account)
	}
	return fault.New(fault.Limit, "Rate exceeded for stream %s under account %s.", name, c.Account)
}
