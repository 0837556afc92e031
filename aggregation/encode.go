package aggregation

import (
	"crypto/md5"
	"encoding/binary"
)

// Encoder puts user records together into Kinesis records. The zero Encoder is
// ready, and is ready again after Finish, with its memory kept. It is used by
// one goroutine at a time.
//
// The user records of one Encoder should belong to one shard: Kinesis knows
// only the first one's hash key.
type Encoder struct {
	// MaxSize bounds the bytes of a finished aggregated record, without its
	// partition key. 0 means DefaultMaxSize.
	MaxSize int
	// MaxRecords bounds the user records of one. 0 means DefaultMaxRecords.
	MaxRecords int

	keys, hashKeys keyTable
	records        []byte // all fields of tag tagRecord
	count          int
	first          Record // without its data, which ends records while it is the only one
	plain          int    // bytes of the first one's data
}

// Entry is what a producer puts: a member of PutRecords, or a PutRecord.
type Entry struct {
	PartitionKey    string
	ExplicitHashKey string // decimal; empty when there is none
	Data            []byte
}

// Add copies a user record into the aggregate. It is false, and r is not
// added, when r does not fit beside those that are there: then Finish, put
// what it returns, and add r again. The first record always fits, as one that
// stays alone is not aggregated.
func (e *Encoder) Add(r Record) bool {
	maxSize, maxRecords := e.MaxSize, e.MaxRecords
	if maxSize <= 0 {
		maxSize = DefaultMaxSize
	}
	if maxRecords <= 0 {
		maxRecords = DefaultMaxRecords
	}
	key, keyNew := e.keys.find(r.PartitionKey)
	size := 1 + sizeVarint(uint64(key)) + sizeBytes(len(r.Data))
	grown := 0
	if keyNew {
		grown += sizeBytes(len(r.PartitionKey))
	}
	var hashKey int
	var hashKeyNew bool
	if r.ExplicitHashKey != "" {
		hashKey, hashKeyNew = e.hashKeys.find(r.ExplicitHashKey)
		size += 1 + sizeVarint(uint64(hashKey))
		if hashKeyNew {
			grown += sizeBytes(len(r.ExplicitHashKey))
		}
	}
	for _, t := range r.Tags {
		size += sizeBytes(t.size())
	}
	if e.count > 0 && (e.count >= maxRecords || e.Size()+grown+sizeBytes(size) > maxSize) {
		return false
	}

	if keyNew {
		e.keys.add(tagPartitionKey, r.PartitionKey)
	}
	if hashKeyNew {
		e.hashKeys.add(tagHashKey, r.ExplicitHashKey)
	}
	b := binary.AppendUvarint(append(e.records, tagRecord), uint64(size))
	b = binary.AppendUvarint(append(b, tagPartitionKeyIndex), uint64(key))
	if r.ExplicitHashKey != "" {
		b = binary.AppendUvarint(append(b, tagHashKeyIndex), uint64(hashKey))
	}
	b = appendBytes(b, tagData, r.Data)
	for _, t := range r.Tags {
		b = binary.AppendUvarint(append(b, tagTag), uint64(t.size()))
		b = appendBytes(b, tagTagKey, t.Key)
		b = appendBytes(b, tagTagValue, t.Value)
	}
	e.records = b
	if e.count == 0 {
		e.first, e.plain = r, len(r.Data)
		e.first.Data = nil
	}
	e.count++
	return true
}

func (t Tag) size() int { return sizeBytes(len(t.Key)) + sizeBytes(len(t.Value)) }

// Len is the number of user records that are there.
func (e *Encoder) Len() int { return e.count }

// Size is the number of bytes that they make as an aggregated record.
func (e *Encoder) Size() int {
	return len(magic) + len(e.keys.fields) + len(e.hashKeys.fields) + len(e.records) + digest
}

// Finish returns the user records as one entry to put and empties the Encoder.
// The entry's data is appended to dst. Like the KPL it leaves a user record
// that is alone as it is, unless it has tags, and puts several under the
// partition key "a" and the hash key of the first. Without user records there
// is nothing to put: the entry is zero.
func (e *Encoder) Finish(dst []byte) Entry {
	from := len(dst)
	out := Entry{PartitionKey: e.first.PartitionKey, ExplicitHashKey: e.first.ExplicitHashKey}
	switch {
	case e.count == 0:
		return Entry{}
	case e.count == 1 && len(e.first.Tags) == 0:
		dst = append(dst, e.records[len(e.records)-e.plain:]...)
	default:
		out.PartitionKey = "a"
		if out.ExplicitHashKey == "" {
			out.ExplicitHashKey = hashOf(e.first.PartitionKey).String()
		}
		if need := from + e.Size(); cap(dst) < need {
			dst = append(make([]byte, 0, need), dst...)
		}
		dst = append(dst, magic...)
		dst = append(dst, e.keys.fields...)
		dst = append(dst, e.hashKeys.fields...)
		dst = append(dst, e.records...)
		sum := md5.Sum(dst[from+len(magic):])
		dst = append(dst, sum[:]...)
	}
	out.Data = dst[from:len(dst):len(dst)]
	e.keys.reset()
	e.hashKeys.reset()
	e.records, e.count, e.first, e.plain = e.records[:0], 0, Record{}, 0
	return out
}

// keyTable is a table under way: its fields as they will stand in the message,
// and where each key is.
type keyTable struct {
	fields []byte
	index  map[string]int
	last   string // the key that was asked for before, and its place
	lastAt int
}

// find returns a key's place, or the one it would get.
func (t *keyTable) find(key string) (at int, isNew bool) {
	if len(t.index) > 0 && key == t.last {
		return t.lastAt, false
	}
	at, known := t.index[key]
	if !known {
		return len(t.index), true
	}
	t.last, t.lastAt = key, at
	return at, false
}

func (t *keyTable) add(tag byte, key string) {
	if t.index == nil {
		t.index = map[string]int{}
	}
	t.last, t.lastAt = key, len(t.index)
	t.index[key] = t.lastAt
	t.fields = appendBytes(t.fields, tag, key)
}

func (t *keyTable) reset() {
	clear(t.index)
	t.fields, t.last = t.fields[:0], ""
}
