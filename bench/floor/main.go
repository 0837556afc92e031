// Command floor is the bare floor: the least any durable Kinesis server must
// do, and nothing else. A net/http handler verifies the signature, scans the
// request, decodes the data, hashes the keys and appends to one recycled file
// with one fdatasync for everything that waits. It has no streams, shards,
// limits, checksums, retention or recovery; it exists to be measured against.
//
// Its drain hands out what it appended, in GetRecords' shape, straight from
// the file. Of DynamoDB it takes UpdateItem: it has the body synced and answers
// with an empty object.
package main

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/segmentio/asm/base64"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address")
	dir := flag.String("data", "", "folder of the file")
	size := flag.Int64("size", 4<<30, "bytes of the recycled file")
	secret := flag.String("secret", "", "secret access key that signs the requests")
	flag.Parse()
	f, err := recycled(*dir+"/floor.log", *size)
	if err != nil {
		log.Fatal(err)
	}
	s := &server{secret: *secret, file: f, wake: make(chan struct{}, 1)}
	s.bufs.New = func() any { return new(scratch) }
	go s.commit()
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("floor is ready on http://%s\n", l.Addr())
	log.Fatal(http.Serve(l, s))
}

// recycled opens a file whose every byte was written before, so that a sync
// of new bytes changes no metadata of the file system.
func recycled(name string, size int64) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err == nil && st.Size() >= size {
		return f, nil
	}
	zero := make([]byte, 1<<20)
	for off := int64(0); off < size; off += int64(len(zero)) {
		if _, err := f.WriteAt(zero, off); err != nil {
			return nil, err
		}
	}
	return f, f.Sync()
}

type server struct {
	secret string
	key    signingKey
	bufs   sync.Pool

	mu    sync.Mutex
	queue []*scratch
	next  uint64 // number of the next record
	end   int64  // of the file, of what is synced

	file *os.File
	wake chan struct{}
}

// scratch is what one request needs, kept for the next.
type scratch struct {
	body, frame, out []byte
	canon            []byte
	spans            []span
	first            uint64
	done             chan error
}

type span struct{ key, data []byte }

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b := s.bufs.Get().(*scratch)
	defer s.bufs.Put(b)
	if b.done == nil {
		b.done = make(chan error, 1)
	}
	out, err := s.serve(r, b)
	h := w.Header()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h["Content-Type"] = r.Header["Content-Type"]
	h["Content-Length"] = []string{strconv.Itoa(len(out))}
	w.Write(out)
}

func (s *server) serve(r *http.Request, b *scratch) ([]byte, error) {
	n := int(r.ContentLength)
	if n < 0 || n > 16<<20 {
		return nil, errors.New("length required, up to 16 MiB")
	}
	if cap(b.body) < n {
		b.body = make([]byte, n)
	}
	b.body = b.body[:n]
	if _, err := io.ReadFull(r.Body, b.body); err != nil {
		return nil, err
	}
	if err := s.verify(r, b); err != nil {
		return nil, err
	}
	cbor := r.Header.Get("Content-Type") == "application/x-amz-cbor-1.1"
	switch r.Header.Get("X-Amz-Target") {
	case "Kinesis_20131202.PutRecords", "Kinesis_20131202.PutRecord":
		return s.put(b, cbor)
	case "Kinesis_20131202.GetRecords":
		return s.get(b)
	case "DynamoDB_20120810.UpdateItem":
		return s.keep(b)
	}
	return nil, errors.New("no such operation")
}

// put scans the body for records, decodes them into one frame, has it synced
// and answers.
func (s *server) put(b *scratch, cbor bool) ([]byte, error) {
	b.spans = b.spans[:0]
	var err error
	if cbor {
		b.spans, err = scanCBOR(b.body, b.spans)
	} else {
		b.spans, err = scanJSON(b.body, b.spans)
	}
	if err != nil {
		return nil, err
	}
	b.frame = b.frame[:0]
	for _, p := range b.spans {
		sum := md5.Sum(p.key)
		n := len(p.data)
		if !cbor {
			n = decodedLen(p.data)
		}
		b.frame = binary.LittleEndian.AppendUint16(b.frame, uint16(len(p.key)))
		b.frame = binary.LittleEndian.AppendUint32(b.frame, uint32(n))
		b.frame = append(b.frame, sum[0])
		b.frame = append(b.frame, p.key...)
		at := len(b.frame)
		if cbor {
			b.frame = append(b.frame, p.data...)
			continue
		}
		if cap(b.frame) < at+n+64 {
			b.frame = append(b.frame, make([]byte, n+64+len(b.body))...)
		}
		b.frame = b.frame[:at+n]
		if _, err := base64.StdEncoding.Decode(b.frame[at:at+n], p.data); err != nil {
			return nil, err
		}
	}
	if err := s.commitFrame(b); err != nil {
		return nil, err
	}
	return answer(b, cbor), nil
}

// keep has the body synced as it is, and answers with an empty object.
func (s *server) keep(b *scratch) ([]byte, error) {
	b.spans = b.spans[:0]
	b.frame = append(b.frame[:0], b.body...)
	return []byte("{}"), s.commitFrame(b)
}

// commitFrame waits until the frame is synced.
func (s *server) commitFrame(b *scratch) error {
	s.mu.Lock()
	s.queue = append(s.queue, b)
	first := len(s.queue) == 1
	s.mu.Unlock()
	if first {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return <-b.done
}

// commit writes and syncs all frames that wait, over and over.
func (s *server) commit() {
	var group []*scratch
	var buf []byte
	for range s.wake {
		for {
			s.mu.Lock()
			group, s.queue = s.queue, group[:0]
			s.mu.Unlock()
			if len(group) == 0 {
				break
			}
			buf = buf[:0]
			for _, b := range group {
				b.first = s.next
				s.next += uint64(len(b.spans))
				buf = append(buf, b.frame...)
			}
			_, err := s.file.WriteAt(buf, s.end)
			if err == nil {
				err = datasync(s.file)
			}
			s.mu.Lock()
			s.end += int64(len(buf))
			s.mu.Unlock()
			for _, b := range group {
				b.done <- err
			}
		}
	}
}

// answer writes the response that the operation's clients wait for.
func answer(b *scratch, cbor bool) []byte {
	out := b.out[:0]
	single := !bytes.Contains(b.body[:min(64, len(b.body))], []byte("Records")) && len(b.spans) == 1
	if cbor {
		if !single {
			out = append(out, 0xa2)
			out = append(append(out, 0x71), "FailedRecordCount"...)
			out = append(out, 0)
			out = append(append(out, 0x67), "Records"...)
			out = append(out, 0x99, byte(len(b.spans)>>8), byte(len(b.spans)))
		}
		for i := range b.spans {
			out = append(append(append(out, 0xa2), 0x6e), "SequenceNumber"...)
			out = append(out, 0x74)
			out = appendNumber(out, b.first+uint64(i))
			out = append(append(append(out, 0x67), "ShardId"...), 0x74)
			out = append(out, "shardId-000000000000"...)
		}
	} else {
		if !single {
			out = append(out, `{"FailedRecordCount":0,"Records":[`...)
		}
		for i := range b.spans {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(out, `{"SequenceNumber":"`...)
			out = appendNumber(out, b.first+uint64(i))
			out = append(out, `","ShardId":"shardId-000000000000"}`...)
		}
		if !single {
			out = append(out, "]}"...)
		}
	}
	b.out = out
	return out
}

// appendNumber writes n with twenty digits.
func appendNumber(out []byte, n uint64) []byte {
	var d [20]byte
	for i := len(d) - 1; i >= 0; i-- {
		d[i] = '0' + byte(n%10)
		n /= 10
	}
	return append(out, d[:]...)
}

// get hands out records from the offset that the iterator names, up to 10,000
// of them or 10 MiB. The iterator is "from-to" in bytes of the file; "all"
// means from its beginning.
func (s *server) get(b *scratch) ([]byte, error) {
	from, to, err := iterator(b.body)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	end := s.end
	s.mu.Unlock()
	if to == 0 || to > end {
		to = end
	}
	const most = 10 << 20
	n := int(min(to-from, most+64<<10))
	if cap(b.frame) < n {
		b.frame = make([]byte, n)
	}
	in := b.frame[:n]
	if _, err := s.file.ReadAt(in, from); err != nil && n > 0 {
		return nil, err
	}
	out := append(b.out[:0], `{"MillisBehindLatest":0,"Records":[`...)
	now := time.Now().UnixMilli()
	at := from
	for count, bytes := 0, 0; count < 10000 && bytes < most && len(in) >= 7; count++ {
		k, d := int(binary.LittleEndian.Uint16(in)), int(binary.LittleEndian.Uint32(in[2:]))
		if len(in) < 7+k+d {
			break
		}
		if count > 0 {
			out = append(out, ',')
		}
		out = append(out, `{"ApproximateArrivalTimestamp":`...)
		out = strconv.AppendInt(out, now/1000, 10)
		out = append(out, ".000,\"Data\":\""...)
		e := base64.StdEncoding.EncodedLen(d)
		if cap(out)-len(out) < e+512 {
			out = append(out, make([]byte, len(out)+e+512)...)[:len(out)]
		}
		base64.StdEncoding.Encode(out[len(out):len(out)+e], in[7+k:7+k+d])
		out = append(out[:len(out)+e], `","PartitionKey":"`...)
		out = append(out, in[7:7+k]...)
		out = append(out, `","SequenceNumber":"`...)
		out = appendNumber(out, uint64(at))
		out = append(out, `"}`...)
		in, at, bytes = in[7+k+d:], at+int64(7+k+d), bytes+k+d
	}
	out = append(out, `],"NextShardIterator":"`...)
	out = strconv.AppendInt(out, at, 10)
	out = append(out, '-')
	out = strconv.AppendInt(out, to, 10)
	b.out = append(out, `"}`...)
	return b.out, nil
}

func iterator(body []byte) (from, to int64, err error) {
	_, rest, ok := bytes.Cut(body, []byte(`"ShardIterator":"`))
	if !ok {
		return 0, 0, errors.New("no iterator")
	}
	tok, _, _ := bytes.Cut(rest, []byte(`"`))
	if string(tok) == "all" {
		return 0, 0, nil
	}
	_, err = fmt.Sscanf(string(tok), "%d-%d", &from, &to)
	return from, to, err
}
