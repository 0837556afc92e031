// Package wire turns bytes into Go values and back, for the bodies that AWS's
// services speak: JSON 1.1 and 1.0, the CBOR twin of the first, the CBOR of
// Smithy's rpc-v2-cbor, and forms that are answered in XML, which AWS calls the
// Query protocol.
//
// A Shape, compiled once from a Go struct type, decodes any format, checks
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

// The formats.
const (
	JSON   Format = iota // AWS JSON 1.1
	CBOR                 // AWS CBOR 1.1: RFC 8949, with timestamps as tag 1 over integer milliseconds
	JSON10               // AWS JSON 1.0, which differs from 1.1 by its name alone
	RPC                  // Smithy's rpc-v2-cbor: RFC 8949, with timestamps in seconds, as it says
	Query                // AWS Query: a form in the request, XML in the answer
	REST                 // REST-JSON: JSON as in 1.1, beside what path, query and headers say
)

// ContentType is the media type of an answer in format f, and but for Query of
// a request as well.
func (f Format) ContentType() string {
	switch f {
	case CBOR:
		return "application/x-amz-cbor-1.1"
	case JSON10:
		return "application/x-amz-json-1.0"
	case RPC:
		return "application/cbor"
	case Query:
		return "text/xml"
	case REST:
		return "application/json"
	}
	return "application/x-amz-json-1.1"
}

func (f Format) String() string {
	return [...]string{"JSON", "CBOR", "JSON 1.0", "rpc-v2-cbor", "Query", "REST-JSON"}[f]
}

func (f Format) isCBOR() bool { return f == CBOR || f == RPC }

// Bounds on what is decoded, whatever the format.
const (
	maxDepth  = 128      // containers open at once: 32 levels of a DynamoDB item, and what is around them
	maxMemory = 64 << 20 // bytes of list and map elements that one body may make us hold
)
