package load

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http/httputil"
	"slices"
)

// Shards lists the stream's shards.
func (t Target) Shards() ([]string, error) {
	c, err := Dial(t.Addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	body, err := c.Do(t.Sign("ListShards", JSON, fmt.Appendf(nil, `{"StreamName":%q}`, t.Stream)))
	if err != nil {
		return nil, err
	}
	var list struct{ Shards []struct{ ShardId string } }
	err = json.Unmarshal(body, &list)
	var ids []string
	for _, s := range list.Shards {
		ids = append(ids, s.ShardId)
	}
	return ids, err
}

// Register registers a consumer of the stream and returns its ARN.
func (t Target) Register(name string) (string, error) {
	c, err := Dial(t.Addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	body, err := c.Do(t.Sign("RegisterStreamConsumer", JSON,
		fmt.Appendf(nil, `{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/%s","ConsumerName":%q}`, t.Stream, name)))
	if err != nil {
		return "", err
	}
	var out struct{ Consumer struct{ ConsumerARN string } }
	err = json.Unmarshal(body, &out)
	return out.Consumer.ConsumerARN, err
}

// Subscription is one SubscribeToShard over HTTP/1.1, as boto3 makes it.
type Subscription struct {
	conn   net.Conn
	body   io.Reader
	format Format
	msg    []byte
}

// Subscribe subscribes a consumer to a shard from a position without an
// argument (LATEST, TRIM_HORIZON), and has seen the initial response when it
// returns.
func (t Target) Subscribe(f Format, consumer, shard, position string) (*Subscription, error) {
	var in []byte
	if f == JSON {
		in = fmt.Appendf(nil, `{"ConsumerARN":%q,"ShardId":%q,"StartingPosition":{"Type":%q}}`, consumer, shard, position)
	} else {
		in = appendText(appendText([]byte{0xa3}, "ConsumerARN"), consumer)
		in = appendText(appendText(in, "ShardId"), shard)
		in = appendText(append(appendText(in, "StartingPosition"), 0xa1), "Type")
		in = appendText(in, position)
	}
	conn, err := net.Dial("tcp", t.Addr)
	if err != nil {
		return nil, err
	}
	s := &Subscription{conn: conn, format: f}
	if err := s.open(t.Sign("SubscribeToShard", f, in)); err != nil {
		conn.Close()
		return nil, fmt.Errorf("subscribe to %s: %w", shard, err)
	}
	return s, nil
}

func (s *Subscription) open(request []byte) error {
	if _, err := s.conn.Write(request); err != nil {
		return err
	}
	r := bufio.NewReaderSize(s.conn, 64<<10)
	status, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	for line := status; len(bytes.TrimSpace([]byte(line))) > 0; {
		if line, err = r.ReadString('\n'); err != nil {
			return err
		}
	}
	s.body = httputil.NewChunkedReader(r)
	if !bytes.Contains([]byte(status), []byte(" 200 ")) {
		text, _ := r.Peek(r.Buffered())
		return fmt.Errorf("%.40q %.300q", status, text)
	}
	kind, _, err := s.message()
	if err == nil && kind != "initial-response" {
		err = fmt.Errorf("begins with %q", kind)
	}
	return err
}

// Close ends the subscription; a Next under way fails.
func (s *Subscription) Close() error { return s.conn.Close() }

// Next returns the payload of the next event, which is valid until the next
// call. The end of the stream is io.EOF.
func (s *Subscription) Next() ([]byte, error) {
	kind, payload, err := s.message()
	if err == nil && kind != "SubscribeToShardEvent" {
		err = fmt.Errorf("%s: %.300q", kind, payload)
	}
	return payload, err
}

// message reads one message of the event stream: lengths of all and of the
// headers, their checksum, headers, payload, checksum.
func (s *Subscription) message() (kind string, payload []byte, err error) {
	s.msg = slices.Grow(s.msg[:0], 12)[:12]
	if _, err := io.ReadFull(s.body, s.msg); err != nil {
		return "", nil, err
	}
	all, headers := int(binary.BigEndian.Uint32(s.msg)), int(binary.BigEndian.Uint32(s.msg[4:]))
	if all > 32<<20 || headers+16 > all {
		return "", nil, errors.New("not a message")
	}
	s.msg = slices.Grow(s.msg, all)[:all]
	if _, err := io.ReadFull(s.body, s.msg[12:]); err != nil {
		return "", nil, io.ErrUnexpectedEOF
	}
	if crc32.ChecksumIEEE(s.msg[:all-4]) != binary.BigEndian.Uint32(s.msg[all-4:]) {
		return "", nil, errors.New("a message whose checksum is wrong")
	}
	for h := s.msg[12 : 12+headers]; len(h) > 0; {
		n := int(h[0])
		v := int(binary.BigEndian.Uint16(h[n+2:])) // all headers are strings
		if name := string(h[1 : 1+n]); name == ":event-type" || name == ":exception-type" {
			kind = string(h[n+4 : n+4+v])
		}
		h = h[n+4+v:]
	}
	return kind, s.msg[12+headers : all-4], nil
}

// Count is how many records an event's payload has.
func (s *Subscription) Count(payload []byte) int {
	if s.format == JSON {
		return bytes.Count(payload, []byte(`"Data":`))
	}
	_, rest, ok := bytes.Cut(payload, []byte("Records"))
	if !ok || len(rest) < 5 {
		return 0
	}
	switch head := rest[0]; {
	case head < 0x98:
		return int(head & 0x1f)
	case head == 0x98:
		return int(rest[1])
	default:
		return int(binary.BigEndian.Uint16(rest[1:]))
	}
}

// Data calls yield with the data of each record of an event's payload.
func (s *Subscription) Data(payload []byte, yield func([]byte) error) error {
	var buf []byte
	for n := s.Count(payload); n > 0; n-- {
		var data []byte
		if s.format == JSON {
			_, rest, _ := bytes.Cut(payload, []byte(`"Data":"`))
			text, rest, ok := bytes.Cut(rest, []byte(`"`))
			if !ok {
				return errors.New("an event ends within a record")
			}
			var err error
			if buf, err = base64.StdEncoding.AppendDecode(buf[:0], text); err != nil {
				return err
			}
			data, payload = buf, rest
		} else {
			_, rest, _ := bytes.Cut(payload, []byte("\x64Data"))
			if len(rest) < 5 {
				return errors.New("an event ends within a record")
			}
			size, at := 0, 0
			switch rest[0] {
			case 0x58:
				size, at = int(rest[1]), 2
			case 0x59:
				size, at = int(binary.BigEndian.Uint16(rest[1:])), 3
			default:
				return fmt.Errorf("data begins with %#x", rest[0])
			}
			if len(rest) < at+size {
				return errors.New("an event ends within a record")
			}
			data, payload = rest[at:at+size], rest[at+size:]
		}
		if err := yield(data); err != nil {
			return err
		}
	}
	return nil
}
