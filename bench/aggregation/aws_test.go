package main

import (
	"bytes"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/awslabs/kinesis-aggregation/go/v2/deaggregator"
	"github.com/awslabs/kinesis-aggregation/go/v2/records"
	"github.com/golang/protobuf/proto"

	"github.com/thalweg/thalweg/aggregation"
)

// vector is an example of package aggregation's test data.
type vector struct {
	Name    string
	Data    []byte
	Encoded bool
	Records []aggregation.Record
}

func vectors(t *testing.T) (all []vector) {
	text, err := os.ReadFile("../../aggregation/testdata/vectors.json")
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil || len(all) == 0 {
		t.Fatal(len(all), err)
	}
	return all
}

// AWS's own library reads the vectors as they say, and makes those bytes that
// they say an encoder makes.
func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		outer := "outer"
		got, err := deaggregator.DeaggregateRecords([]types.Record{{PartitionKey: &outer, Data: v.Data}})
		if err != nil || len(got) != len(v.Records) {
			t.Errorf("%s: awslabs reads %d records, %v", v.Name, len(got), err)
			continue
		}
		for i, r := range got {
			if want := v.Records[i]; *r.PartitionKey != want.PartitionKey || !bytes.Equal(r.Data, want.Data) {
				t.Errorf("%s: awslabs reads record %d as %s %q", v.Name, i, *r.PartitionKey, r.Data)
			}
		}
		if m := message(t, v.Data); len(m.ExplicitHashKeyTable) > 0 { // which the library leaves out
			for i, r := range m.Records {
				if r.ExplicitHashKeyIndex != nil && m.ExplicitHashKeyTable[*r.ExplicitHashKeyIndex] != v.Records[i].ExplicitHashKey {
					t.Errorf("%s: the message has record %d hashed by %s", v.Name, i, m.ExplicitHashKeyTable[*r.ExplicitHashKeyIndex])
				}
			}
		}
		if v.Encoded && !bytes.Equal(awsAggregate(v.Records), v.Data) {
			t.Errorf("%s: awslabs makes other bytes", v.Name)
		}
	}
}

func message(t *testing.T, data []byte) *records.AggregatedRecord {
	m := new(records.AggregatedRecord)
	if err := proto.Unmarshal(data[4:len(data)-16], m); err != nil {
		t.Fatal(err)
	}
	return m
}

// Of thousands of damaged messages both libraries think the same. Where AWS's
// fails or panics we do what its KCL does: the record is plain, or its first
// records are kept.
func TestDamaged(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var d aggregation.Decoder
	plain, cut, whole := 0, 0, 0
	seeds := vectors(t)
	for n := range 60_000 {
		text := slices.Clone(seeds[n%len(seeds)].Data)
		text = text[4 : len(text)-16]
		for range 1 + random.IntN(3) {
			switch at := random.IntN(len(text)); random.IntN(3) {
			case 0:
				text[at] = byte(random.Uint32())
			case 1:
				text[at] ^= 1 << random.IntN(8)
			case 2:
				text = slices.Delete(text, at, min(len(text)-1, at+1+random.IntN(3)))
			}
		}
		sum := md5.Sum(text)
		data := append(append([]byte("\xf3\x89\x9a\xc2"), text...), sum[:]...)

		var ours []aggregation.Record
		for r := range d.Records("outer", data) {
			ours = append(ours, r)
		}
		theirs, err := awsRead(data)
		switch {
		case err != nil && d.Err() != nil:
			cut++
		case err != nil && len(ours) == 1 && !ours[0].Aggregated:
			plain++
		case err != nil || (d.Err() != nil && len(ours) > len(theirs)) || (d.Err() == nil && len(ours) != len(theirs)):
			t.Fatalf("%x\nours %v, %v\ntheirs %v, %v", text, ours, d.Err(), theirs, err)
		default:
			whole++
			for i := range ours {
				if ours[i].PartitionKey != *theirs[i].PartitionKey || !bytes.Equal(ours[i].Data, theirs[i].Data) {
					t.Fatalf("%x\nrecord %d: ours %v, theirs %v", text, i, ours[i], theirs[i])
				}
			}
		}
	}
	if plain < 1000 || cut < 1000 || whole < 1000 {
		t.Errorf("%d plain, %d cut, %d whole: too few of a kind to mean anything", plain, cut, whole)
	}
}

// awsRead makes an error of the panic that AWS's library has for bad indexes.
func awsRead(data []byte) (got []types.Record, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	outer := "outer"
	return deaggregator.DeaggregateRecords([]types.Record{{PartitionKey: &outer, Data: data}})
}
