package aggregation_test

import (
	"fmt"

	"github.com/thalweg/thalweg/aggregation"
)

// A producer fills entries and puts each when the next record does not fit.
func ExampleEncoder() {
	var e aggregation.Encoder
	e.MaxRecords = 2 // to make the example short; usually MaxSize decides
	put := func(entry aggregation.Entry) {
		fmt.Printf("put %d bytes under %s, hash key %s\n", len(entry.Data), entry.PartitionKey, entry.ExplicitHashKey)
	}
	for _, name := range []string{"anna", "ben", "carla"} {
		r := aggregation.Record{PartitionKey: name, Data: []byte("hello " + name)}
		if !e.Add(r) {
			put(e.Finish(nil))
			e.Add(r)
		}
	}
	if e.Len() > 0 {
		put(e.Finish(nil))
	}
	// Output:
	// put 62 bytes under a, hash key 222062168885373767019251586615533776403
	// put 11 bytes under carla, hash key
}

// A consumer reads what it got, aggregated or plain, in one loop.
func ExampleDecoder() {
	var e aggregation.Encoder
	e.Add(aggregation.Record{PartitionKey: "anna", Data: []byte("one")})
	e.Add(aggregation.Record{PartitionKey: "ben", Data: []byte("two")})
	fromKinesis := []aggregation.Entry{e.Finish(nil), {PartitionKey: "carla", Data: []byte("three")}}

	var d aggregation.Decoder
	for i, kinesisRecord := range fromKinesis {
		for r := range d.Records(kinesisRecord.PartitionKey, kinesisRecord.Data) {
			fmt.Printf("record %d.%d of %s: %s\n", i, r.SubSequence, r.PartitionKey, r.Data)
		}
		if err := d.Err(); err != nil {
			fmt.Println("some are lost:", err)
		}
	}
	// Output:
	// record 0.0 of anna: one
	// record 0.1 of ben: two
	// record 1.0 of carla: three
}

// A producer puts together what goes to one shard.
func ExampleRecord_HashKey() {
	start, _ := aggregation.ParseHashKey("170141183460469231731687303715884105728") // of a shard's range
	for _, name := range []string{"anna", "ben"} {
		key, _ := aggregation.Record{PartitionKey: name}.HashKey()
		fmt.Println(name, key, key.Compare(start) >= 0)
	}
	// Output:
	// anna 222062168885373767019251586615533776403 true
	// ben 169998214973728638173342680764788164266 false
}
