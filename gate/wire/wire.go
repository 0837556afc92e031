// Package wire turns bytes into Go values and back, for the two bodies that
// AWS's JSON services speak: application/x-amz-json-1.1 and its CBOR twin.
//
// A Shape, compiled once from a Go struct type, decodes either format, checks
// AWS's documented constraints and encodes the answer; the texts of its faults
// are those that AWS's own framework (Coral) sends. Beneath it lie the pieces
// that hand-made codecs of hot operations stand on: Scanner, Reader, the base64
// pair and the Append functions, none of which allocates.
//
// It never does I/O, holds no state between calls, and never lets what a
// length in the input claims decide how much memory is taken.
package wire

// Format is the encoding of a body. The zero value is JSON.
type Format uint8

// The two formats.
const (
	JSON Format = iota // AWS JSON 1.1
	CBOR               // AWS CBOR 1.1: RFC 8949, with timestamps as tag 1 over integer milliseconds
)

// ContentType is the media type of a body in format f.
func (f Format) ContentType() string {
	if f == CBOR {
		return "application/x-amz-cbor-1.1"
	}
	return "application/x-amz-json-1.1"
}

func (f Format) String() string {
	if f == CBOR {
		return "CBOR"
	}
	return "JSON"
}

// Bounds on what is decoded, whatever the format.
const (
	maxDepth  = 64       // containers open at once
	maxMemory = 64 << 20 // bytes of list and map elements that one body may make us hold
)
