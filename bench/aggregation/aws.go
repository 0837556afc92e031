package main

import (
	"bytes"
	"crypto/md5"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/awslabs/kinesis-aggregation/go/v2/deaggregator"
	"github.com/awslabs/kinesis-aggregation/go/v2/records"
	"github.com/golang/protobuf/proto"

	"github.com/thalweg/thalweg/aggregation"
)

func kinesisRecords(entries []aggregation.Entry) (all []types.Record) {
	for i := range entries {
		all = append(all, types.Record{PartitionKey: &entries[i].PartitionKey, Data: entries[i].Data})
	}
	return all
}

func awsUnpack(all []types.Record) (bytes int) {
	got, err := deaggregator.DeaggregateRecords(all)
	if err != nil {
		panic(err)
	}
	for _, r := range got {
		bytes += len(*r.PartitionKey) + len(r.Data)
	}
	return bytes
}

// awsPack makes aggregated records of n user records each.
func awsPack(all []aggregation.Record, n int) (packed [][]byte) {
	for len(all) > 0 {
		n = min(n, len(all))
		packed = append(packed, awsAggregate(all[:n]))
		all = all[n:]
	}
	return packed
}

func awsAggregate(all []aggregation.Record) []byte {
	m := new(records.AggregatedRecord)
	keys, hashKeys := map[string]uint64{}, map[string]uint64{}
	place := func(table *[]string, index map[string]uint64, key string) *uint64 {
		at, known := index[key]
		if !known {
			at = uint64(len(*table))
			index[key] = at
			*table = append(*table, key)
		}
		return &at
	}
	for _, r := range all {
		out := &records.Record{PartitionKeyIndex: place(&m.PartitionKeyTable, keys, r.PartitionKey), Data: r.Data}
		if r.ExplicitHashKey != "" {
			out.ExplicitHashKeyIndex = place(&m.ExplicitHashKeyTable, hashKeys, r.ExplicitHashKey)
		}
		for _, t := range r.Tags {
			out.Tags = append(out.Tags, &records.Tag{Key: &t.Key, Value: &t.Value})
		}
		m.Records = append(m.Records, out)
	}
	text, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	sum := md5.Sum(text)
	return append(append([]byte("\xf3\x89\x9a\xc2"), text...), sum[:]...)
}

// sameBytes checks that both libraries make the same of the same.
func sameBytes(all []aggregation.Record, packed []aggregation.Entry, theirs []types.Record) error {
	var d aggregation.Decoder
	at := 0
	for _, p := range packed {
		from := at
		for r := range d.Records(p.PartitionKey, p.Data) {
			if r.PartitionKey != all[at].PartitionKey || r.ExplicitHashKey != all[at].ExplicitHashKey || !bytes.Equal(r.Data, all[at].Data) {
				return fmt.Errorf("we read record %d otherwise", at)
			}
			at++
		}
		if at-from > 1 && !bytes.Equal(p.Data, awsAggregate(all[from:at])) {
			return fmt.Errorf("records %d to %d are other bytes", from, at)
		}
	}
	got, err := deaggregator.DeaggregateRecords(theirs)
	if err != nil || len(got) != len(all) || at != len(all) {
		return fmt.Errorf("they read %d records of %d, we %d: %w", len(got), len(all), at, err)
	}
	for i, r := range got {
		if *r.PartitionKey != all[i].PartitionKey || !bytes.Equal(r.Data, all[i].Data) {
			return fmt.Errorf("they read record %d otherwise", i)
		}
	}
	return nil
}
