// Package load makes requests ahead of time, signed as the AWS SDKs sign
// them, and sends them over bare HTTP/1.1 connections, so that what is
// measured is the server: a client that encodes and signs as it goes costs
// more than the server does.
package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Target is a server under load.
type Target struct {
	Addr                 string // host:port, plain HTTP
	AccessKey, SecretKey string
	Stream               string
}

// Format is how bodies are encoded.
type Format string

// The two protocols of Kinesis, and DynamoDB's.
const (
	JSON   Format = "application/x-amz-json-1.1"
	CBOR   Format = "application/x-amz-cbor-1.1"
	JSON10 Format = "application/x-amz-json-1.0"
)

// Sign returns the bytes of one signed request for operation op of Kinesis.
func (t Target) Sign(op string, f Format, body []byte) []byte {
	return t.SignFor("kinesis", "Kinesis_20131202."+op, f, body)
}

// SignFor is Sign for an operation, under its X-Amz-Target, of any service.
func (t Target) SignFor(service, op string, f Format, body []byte) []byte {
	r, err := http.NewRequest("POST", "http://"+t.Addr+"/", bytes.NewReader(body))
	if err != nil {
		panic(err) // the address is ours
	}
	r.Header.Set("Content-Type", string(f))
	r.Header.Set("X-Amz-Target", op)
	sum := sha256.Sum256(body)
	cred := aws.Credentials{AccessKeyID: t.AccessKey, SecretAccessKey: t.SecretKey}
	if err := v4.NewSigner().SignHTTP(context.Background(), cred, r, hex.EncodeToString(sum[:]), service, "us-east-1", time.Now()); err != nil {
		panic(err)
	}
	raw, err := httputil.DumpRequestOut(r, true)
	if err != nil {
		panic(err)
	}
	return raw
}

// Pool is a set of distinct records from which requests are made. A record
// starts with its number in the pool, so that a reader can tell which bytes
// it must hold.
type Pool struct {
	Data [][]byte
	Keys []string
}

// NewPool makes n records of size random bytes each.
func NewPool(n, size int) *Pool {
	rng := rand.NewChaCha8([32]byte{1})
	p := &Pool{}
	for i := range n {
		d := make([]byte, size)
		rng.Read(d)
		binary.LittleEndian.PutUint32(d, uint32(i))
		p.Data = append(p.Data, d)
		p.Keys = append(p.Keys, "key-"+strconv.Itoa(i*7919%100003))
	}
	return p
}

// Batches encodes the pool as PutRecords requests of size records each.
func (t Target) Batches(p *Pool, f Format, size int) [][]byte {
	var out [][]byte
	for at := 0; at+size <= len(p.Data); at += size {
		var b []byte
		if f == JSON {
			b = append(b, `{"Records":[`...)
			for i := at; i < at+size; i++ {
				if i > at {
					b = append(b, ',')
				}
				b = append(b, `{"Data":"`...)
				b = base64.StdEncoding.AppendEncode(b, p.Data[i])
				b = append(b, `","PartitionKey":"`+p.Keys[i]+`"}`...)
			}
			b = append(b, `],"StreamName":"`+t.Stream+`"}`...)
		} else {
			b = appendText(append(b, 0xa2), "Records")
			b = append(b, 0x99, byte(size>>8), byte(size))
			for i := at; i < at+size; i++ {
				b = appendText(append(b, 0xa2), "Data")
				b = appendBytes(b, p.Data[i])
				b = appendText(appendText(b, "PartitionKey"), p.Keys[i])
			}
			b = appendText(appendText(b, "StreamName"), t.Stream)
		}
		out = append(out, t.Sign("PutRecords", f, b))
	}
	return out
}

// Singles encodes the pool as PutRecord requests.
func (t Target) Singles(p *Pool) [][]byte {
	var out [][]byte
	for i, d := range p.Data {
		b := []byte(`{"Data":"`)
		b = base64.StdEncoding.AppendEncode(b, d)
		b = append(b, `","PartitionKey":"`+p.Keys[i]+`","StreamName":"`+t.Stream+`"}`...)
		out = append(out, t.Sign("PutRecord", JSON, b))
	}
	return out
}

func appendText(b []byte, s string) []byte {
	if len(s) < 24 {
		return append(append(b, 0x60|byte(len(s))), s...)
	}
	return append(append(b, 0x78, byte(len(s))), s...)
}

func appendBytes(b, s []byte) []byte {
	if len(s) < 1<<8 {
		return append(append(b, 0x58, byte(len(s))), s...)
	}
	return append(append(b, 0x59, byte(len(s)>>8), byte(len(s))), s...)
}

// Conn is one connection that sends ready requests.
type Conn struct {
	c    net.Conn
	r    *bufio.Reader
	body []byte
}

// Dial connects to addr.
func Dial(addr string) (*Conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &Conn{c: c, r: bufio.NewReaderSize(c, 256<<10)}, nil
}

// Close ends the connection.
func (c *Conn) Close() error { return c.c.Close() }

// Do sends one request and returns the answer's body, which stays valid until
// the next Do. An answer other than 200 is an error.
func (c *Conn) Do(raw []byte) ([]byte, error) {
	if _, err := c.c.Write(raw); err != nil {
		return nil, err
	}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	ok := bytes.HasPrefix(line, []byte("HTTP/1.1 200"))
	status := string(bytes.TrimSpace(line[:min(len(line), 40)]))
	length, chunked := -1, false
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			chunked = true
		}
	}
	c.body = c.body[:0]
	if chunked {
		for {
			line, err := c.r.ReadSlice('\n')
			if err != nil {
				return nil, err
			}
			n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
			if err != nil {
				return nil, err
			}
			if err := c.read(int(n)); err != nil {
				return nil, err
			}
			if _, err := c.r.Discard(2); err != nil {
				return nil, err
			}
			if n == 0 {
				break
			}
		}
	} else if length >= 0 {
		if err := c.read(length); err != nil {
			return nil, err
		}
	} else {
		return nil, errors.New("answer without a length")
	}
	if !ok {
		return nil, fmt.Errorf("%s: %s", status, c.body[:min(len(c.body), 300)])
	}
	return c.body, nil
}

func (c *Conn) read(n int) error {
	at := len(c.body)
	c.body = slices.Grow(c.body, n)[:at+n]
	_, err := io.ReadFull(c.r, c.body[at:])
	return err
}

// Result is what a stretch of load did.
type Result struct {
	Requests, Records int64
	Elapsed           time.Duration
	Sent              []int64         // per request of the set: how often it was acknowledged
	Latency           []time.Duration // of each request, sorted
}

// Rate is records per second.
func (r Result) Rate() float64 { return float64(r.Records) / r.Elapsed.Seconds() }

// Put sends the requests of the set round and round over conns connections
// for d; each holds records records. Every answer must say that all were
// taken.
func Put(addr string, set [][]byte, records, conns int, d time.Duration) (Result, error) {
	res := Result{Sent: make([]int64, len(set))}
	var next atomic.Int64
	var mu sync.Mutex
	var first error
	var wg sync.WaitGroup
	start := time.Now()
	for range conns {
		wg.Go(func() {
			err := func() error {
				c, err := Dial(addr)
				if err != nil {
					return err
				}
				defer c.Close()
				var lat []time.Duration
				for t := time.Now(); t.Sub(start) < d; {
					i := int(next.Add(1)-1) % len(set)
					body, err := c.Do(set[i])
					if err != nil {
						return err
					}
					if records > 1 && !allTaken(body) {
						return fmt.Errorf("not all records were taken: %.300s", body)
					}
					atomic.AddInt64(&res.Sent[i], 1)
					now := time.Now()
					lat = append(lat, now.Sub(t))
					t = now
				}
				mu.Lock()
				res.Latency = append(res.Latency, lat...)
				mu.Unlock()
				return nil
			}()
			if err != nil {
				mu.Lock()
				first = cmpErr(first, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	res.Elapsed = time.Since(start)
	for _, n := range res.Sent {
		res.Requests += n
	}
	res.Records = res.Requests * int64(records)
	slices.Sort(res.Latency)
	return res, first
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// allTaken reports whether a PutRecords answer counts no failure, in JSON or
// in CBOR.
func allTaken(body []byte) bool {
	const name = "FailedRecordCount"
	i := bytes.Index(body, []byte(name))
	if i < 0 {
		return false
	}
	rest := body[i+len(name):]
	if len(rest) > 0 && rest[0] == 0 { // CBOR
		return true
	}
	rest = bytes.TrimLeft(rest, `": `)
	return len(rest) > 1 && rest[0] == '0' && (rest[1] == ',' || rest[1] == '}')
}
