package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// EventStream is the media type of a body made of event stream messages.
const EventStream = "application/vnd.amazon.eventstream"

// MaxMessage is the longest message, in bytes with all around its payload,
// that is written or read here.
const MaxMessage = 24 << 20

// The names of headers, and the types of messages, that AWS's services use.
const (
	headerMessageType   = ":message-type"
	headerEventType     = ":event-type"
	headerExceptionType = ":exception-type"
	headerContentType   = ":content-type"

	messageEvent     = "event"
	messageException = "exception"
)

// A message is its length and that of its headers (4 bytes each, big-endian),
// the CRC-32 (IEEE) of those 8 bytes, the headers, the payload, and the CRC-32
// of everything before.
const (
	preludeLen  = 12
	checksumLen = 4
	headerText  = 7 // the type of a header that is a string: 2 bytes of length, then UTF-8
)

// BeginEvent appends the head of an event to dst. The payload is appended next,
// straight where it belongs, and EndMessage closes the message, given the
// length that dst had here:
//
//	start := len(dst)
//	dst = wire.BeginEvent(dst, "SubscribeToShardEvent", format.ContentType())
//	dst = appendPayload(dst)
//	dst, err = wire.EndMessage(dst, start)
//
// Both strings are shorter than 64 KiB.
func BeginEvent(dst []byte, eventType, contentType string) []byte {
	return beginMessage(dst, messageEvent, headerEventType, eventType, contentType)
}

// BeginException appends the head of an exception, with the short name that
// clients know it by. It goes on as BeginEvent does.
func BeginException(dst []byte, exceptionType, contentType string) []byte {
	return beginMessage(dst, messageException, headerExceptionType, exceptionType, contentType)
}

func beginMessage(dst []byte, messageType, kind, name, contentType string) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, preludeLen)...)
	dst = appendHeader(dst, headerMessageType, messageType)
	dst = appendHeader(dst, kind, name)
	dst = appendHeader(dst, headerContentType, contentType)
	binary.BigEndian.PutUint32(dst[start+4:], uint32(len(dst)-start-preludeLen))
	return dst
}

func appendHeader(dst []byte, name, value string) []byte {
	dst = append(append(dst, byte(len(name))), name...)
	dst = binary.BigEndian.AppendUint16(append(dst, headerText), uint16(len(value)))
	return append(dst, value...)
}

// EndMessage closes the message that begins at start in dst and whose payload
// ends where dst does: it fills in the length and both checksums. A message
// above MaxMessage is taken off again, with an error.
func EndMessage(dst []byte, start int) ([]byte, error) {
	n := len(dst) - start + checksumLen
	if n > MaxMessage {
		return dst[:start], fmt.Errorf("event stream message of %d bytes: above %d", n, MaxMessage)
	}
	m := dst[start:]
	binary.BigEndian.PutUint32(m, uint32(n))
	binary.BigEndian.PutUint32(m[8:], crc32.ChecksumIEEE(m[:8]))
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(m)), nil
}

// AppendEvent appends a whole event whose payload, at most 16 MiB, is there
// already.
func AppendEvent(dst []byte, eventType, contentType string, payload []byte) ([]byte, error) {
	start := len(dst)
	dst = BeginEvent(dst, eventType, contentType)
	return EndMessage(append(dst, payload...), start)
}

// AppendInitialResponse appends the message that a stream of AWS's RPC
// protocols begins with and that clients wait for: the members of the answer
// beside the stream, of which there are none.
func AppendInitialResponse(dst []byte, f Format) []byte {
	start := len(dst)
	dst = BeginEvent(dst, "initial-response", f.ContentType())
	if f == CBOR {
		dst = AppendHead(dst, MajorMap, 0)
	} else {
		dst = append(dst, "{}"...)
	}
	dst, _ = EndMessage(dst, start) // far below the bound
	return dst
}

// AppendException appends a whole exception with its message, in format f.
func AppendException(dst []byte, f Format, exceptionType, message string) ([]byte, error) {
	start := len(dst)
	e := encoder{buf: BeginException(dst, exceptionType, f.ContentType()), cbor: f == CBOR}
	if e.cbor {
		e.buf = AppendHead(e.buf, MajorMap, 1)
		e.text("message")
		e.text(message)
	} else {
		e.buf = append(e.buf, `{"message":`...)
		e.text(message)
		e.buf = append(e.buf, '}')
	}
	return EndMessage(e.buf, start)
}

// Message is an event stream message as it is read.
type Message struct {
	Exception   bool   // whether the message ends the stream with an error
	Type        string // of the event or exception: initial-response, SubscribeToShardEvent
	ContentType string
	Payload     []byte
}

// errMessage is wrapped by all that is wrong with a message's bytes.
var errMessage = errors.New("not an event stream message")

// Decoder reads messages one after another.
type Decoder struct {
	from io.Reader
	buf  []byte
}

// NewDecoder returns a Decoder that reads from r, never beyond the end of the
// message it returns.
func NewDecoder(r io.Reader) *Decoder { return &Decoder{from: r} }

// Next returns the next message; its payload is valid until the next call. The
// end of the stream is io.EOF between messages and io.ErrUnexpectedEOF within
// one. What a length claims to follow takes memory only as it comes.
func (d *Decoder) Next() (Message, error) {
	const step = 256 << 10
	d.buf = d.buf[:0]
	for want := preludeLen; len(d.buf) < want; {
		at := len(d.buf)
		d.buf = append(d.buf, make([]byte, min(want-at, step))...)
		n, err := io.ReadFull(d.from, d.buf[at:])
		if errors.Is(err, io.EOF) && at > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			d.buf = d.buf[:at+n]
			return Message{}, err
		}
		if at == 0 {
			if want, err = messageLen(d.buf); err != nil {
				return Message{}, err
			}
		}
	}
	return parseMessage(d.buf)
}

// messageLen returns the length of the message that begins with a prelude.
func messageLen(prelude []byte) (int, error) {
	if binary.BigEndian.Uint32(prelude[8:]) != crc32.ChecksumIEEE(prelude[:8]) {
		return 0, fmt.Errorf("%w: wrong checksum of its lengths", errMessage)
	}
	n, headers := uint64(binary.BigEndian.Uint32(prelude)), uint64(binary.BigEndian.Uint32(prelude[4:]))
	if n > MaxMessage || n < preludeLen+headers+checksumLen {
		return 0, fmt.Errorf("%w: %d bytes with %d of headers", errMessage, n, headers)
	}
	return int(n), nil
}

// parseMessage takes a whole message apart, whose lengths were checked.
func parseMessage(b []byte) (Message, error) {
	end := len(b) - checksumLen
	if binary.BigEndian.Uint32(b[end:]) != crc32.ChecksumIEEE(b[:end]) {
		return Message{}, fmt.Errorf("%w: wrong checksum", errMessage)
	}
	body := preludeLen + int(binary.BigEndian.Uint32(b[4:]))
	m := Message{Payload: b[body:end]}
	for h := b[preludeLen:body]; len(h) > 0; {
		name, value, rest, ok := cutHeader(h)
		if !ok {
			return Message{}, fmt.Errorf("%w: headers that do not add up", errMessage)
		}
		switch string(name) {
		case headerMessageType:
			m.Exception = string(value) != messageEvent
		case headerEventType, headerExceptionType:
			m.Type = string(value)
		case headerContentType:
			m.ContentType = string(value)
		}
		h = rest
	}
	return m, nil
}

// cutHeader returns a header's name and, if it is a string, its value, and
// what follows.
func cutHeader(h []byte) (name, value, rest []byte, ok bool) {
	n := 1 + int(h[0])
	if len(h) < n+1 {
		return nil, nil, nil, false
	}
	name, kind, h := h[1:n], h[n], h[n+1:]
	size := 0
	switch kind {
	case 0, 1: // true, false
	case 2: // a byte
		size = 1
	case 3: // 16 bits
		size = 2
	case 4: // 32 bits
		size = 4
	case 5, 8: // 64 bits, a time
		size = 8
	case 9: // a UUID
		size = 16
	case 6, headerText: // bytes, a string
		if len(h) < 2 {
			return nil, nil, nil, false
		}
		size, h = int(binary.BigEndian.Uint16(h)), h[2:]
	default:
		return nil, nil, nil, false
	}
	if len(h) < size {
		return nil, nil, nil, false
	}
	if kind == headerText {
		value = h[:size]
	}
	return name, value, h[size:], true
}
