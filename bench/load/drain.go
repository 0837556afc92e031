package load

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/segmentio/asm/base64"
)

// Iterators asks for a TRIM_HORIZON iterator of every shard of the stream.
func (t Target) Iterators() ([]string, error) {
	c, err := Dial(t.Addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var ids []string
	for ask := `{"StreamName":"` + t.Stream + `"}`; ask != ""; {
		body, err := c.Do(t.Sign("ListShards", JSON, []byte(ask)))
		if err != nil {
			return nil, err
		}
		var list struct {
			Shards    []struct{ ShardId string }
			NextToken string
		}
		if err := json.Unmarshal(body, &list); err != nil {
			return nil, err
		}
		for _, s := range list.Shards {
			ids = append(ids, s.ShardId)
		}
		if ask = ""; list.NextToken != "" {
			ask = `{"NextToken":"` + list.NextToken + `"}`
		}
	}
	var its []string
	for _, id := range ids {
		body, err := c.Do(t.Sign("GetShardIterator", JSON, []byte(`{"StreamName":"`+t.Stream+`","ShardId":"`+id+`","ShardIteratorType":"TRIM_HORIZON"}`)))
		if err != nil {
			return nil, err
		}
		var it struct{ ShardIterator string }
		if err := json.Unmarshal(body, &it); err != nil {
			return nil, err
		}
		its = append(its, it.ShardIterator)
	}
	return its, nil
}

// Drain reads through all iterators to the tip over conns connections. When
// pool is set, every record's bytes are compared with the pool's, and the
// number of times that each was seen comes back in Sent.
func (t Target) Drain(iterators []string, conns int, pool *Pool) (Result, error) {
	var res Result
	var mu sync.Mutex
	var first error
	var wg sync.WaitGroup
	work := make(chan string, len(iterators))
	for _, it := range iterators {
		work <- it
	}
	close(work)
	if pool != nil {
		res.Sent = make([]int64, len(pool.Data))
	}
	start := time.Now()
	for range conns {
		wg.Go(func() {
			c, err := Dial(t.Addr)
			if err == nil {
				defer c.Close()
				for it := range work {
					if err = t.drain(c, it, pool, &res, &mu); err != nil {
						break
					}
				}
			}
			mu.Lock()
			first = cmpErr(first, err)
			mu.Unlock()
		})
	}
	wg.Wait()
	res.Elapsed = time.Since(start)
	return res, first
}

func (t Target) drain(c *Conn, it string, pool *Pool, res *Result, mu *sync.Mutex) error {
	var buf []byte
	for {
		body, err := c.Do(t.Sign("GetRecords", JSON, []byte(`{"ShardIterator":"`+it+`"}`)))
		if err != nil {
			return err
		}
		n := int64(bytes.Count(body, []byte(`"Data":`)))
		mu.Lock()
		res.Requests++
		res.Records += n
		mu.Unlock()
		if pool != nil {
			if buf, err = check(body, buf, pool, res, mu); err != nil {
				return err
			}
		}
		i := bytes.LastIndex(body, []byte(`"NextShardIterator":"`))
		if n == 0 || i < 0 {
			return nil
		}
		rest := body[i+len(`"NextShardIterator":"`):]
		it = string(rest[:bytes.IndexByte(rest, '"')])
	}
}

// check compares each record of a GetRecords answer with the pool's.
func check(body, buf []byte, pool *Pool, res *Result, mu *sync.Mutex) ([]byte, error) {
	mu.Lock()
	defer mu.Unlock()
	for {
		_, rest, ok := bytes.Cut(body, []byte(`"Data":`))
		if !ok {
			return buf, nil
		}
		rest = rest[bytes.IndexByte(rest, '"')+1:]
		end := bytes.IndexByte(rest, '"')
		if end < 0 {
			return buf, fmt.Errorf("answer ends within a record")
		}
		if cap(buf) < end {
			buf = make([]byte, end)
		}
		n, err := base64.StdEncoding.Decode(buf[:cap(buf)], rest[:end])
		if err != nil {
			return buf, err
		}
		d := buf[:n]
		if n < 4 {
			return buf, fmt.Errorf("record of %d bytes", n)
		}
		i := binary.LittleEndian.Uint32(d)
		if int(i) >= len(pool.Data) || !bytes.Equal(d, pool.Data[i]) {
			return buf, fmt.Errorf("record %d does not hold the bytes that were put", i)
		}
		res.Sent[i]++
		body = rest[end:]
	}
}
