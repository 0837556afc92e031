package main

import (
	"bytes"
	"encoding/binary"
	"errors"
)

var errScan = errors.New("cannot scan the request")

// scanJSON finds the keys and data of a PutRecord or PutRecords body: every
// string member named Data or PartitionKey, in whatever order, without
// escapes.
func scanJSON(b []byte, spans []span) ([]span, error) {
	var cur span
	var have int
	for i := 0; i < len(b); {
		if b[i] != '"' {
			i++
			continue
		}
		name, next, ok := quoted(b, i)
		if !ok {
			return nil, errScan
		}
		i = next
		for i < len(b) && (b[i] == ':' || b[i] == ' ') {
			i++
		}
		if i >= len(b) || b[i] != '"' {
			continue
		}
		value, next, ok := quoted(b, i)
		if !ok {
			return nil, errScan
		}
		i = next
		switch string(name) {
		case "Data":
			cur.data, have = value, have|1
		case "PartitionKey":
			cur.key, have = value, have|2
		}
		if have == 3 {
			spans, cur, have = append(spans, cur), span{}, 0
		}
	}
	if len(spans) == 0 || have != 0 {
		return nil, errScan
	}
	return spans, nil
}

func quoted(b []byte, i int) (s []byte, next int, ok bool) {
	n := bytes.IndexByte(b[i+1:], '"')
	if n < 0 {
		return nil, 0, false
	}
	return b[i+1 : i+1+n], i + n + 2, true
}

func decodedLen(s []byte) int {
	n := len(s) / 4 * 3
	for j := len(s) - 1; j >= 0 && s[j] == '='; j-- {
		n--
	}
	return n
}

// scanCBOR does the same for definite-length CBOR.
func scanCBOR(b []byte, spans []span) ([]span, error) {
	var cur span
	var have int
	var name []byte
	for len(b) > 0 {
		major, low := b[0]>>5, b[0]&31
		b = b[1:]
		var n uint64
		switch {
		case low < 24:
			n = uint64(low)
		case low == 24 && len(b) >= 1:
			n, b = uint64(b[0]), b[1:]
		case low == 25 && len(b) >= 2:
			n, b = uint64(binary.BigEndian.Uint16(b)), b[2:]
		case low == 26 && len(b) >= 4:
			n, b = uint64(binary.BigEndian.Uint32(b)), b[4:]
		case low == 31:
			continue
		default:
			return nil, errScan
		}
		if major != 2 && major != 3 {
			continue
		}
		if n > uint64(len(b)) {
			return nil, errScan
		}
		s := b[:n]
		b = b[n:]
		switch {
		case name == nil:
			name = s
			if string(s) == "Records" {
				name = nil
			}
			continue
		case string(name) == "Data":
			cur.data, have = s, have|1
		case string(name) == "PartitionKey":
			cur.key, have = s, have|2
		}
		name = nil
		if have == 3 {
			spans, cur, have = append(spans, cur), span{}, 0
		}
	}
	if len(spans) == 0 {
		return nil, errScan
	}
	return spans, nil
}
