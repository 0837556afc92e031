// Command consumer is a Lambda function for TestMappingAcrossKills. Of each
// event it appends the keys and the numbers of its records to the file OUT in
// one write, and then says that it is done; one event in 50 it refuses before.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
)

func main() {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	out, err := os.OpenFile(os.Getenv("OUT"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	for {
		resp, err := http.Get(base + "next")
		if err != nil {
			return
		}
		var event struct {
			Records []struct {
				Kinesis struct {
					PartitionKey string `json:"partitionKey"`
					Data         []byte `json:"data"`
				} `json:"kinesis"`
			}
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return
		}
		if err := json.Unmarshal(body, &event); err != nil {
			panic(err)
		}
		id := resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
		if rand.IntN(50) == 0 {
			post(base+id+"/error", `{"errorType":"Bad","errorMessage":"one in fifty"}`)
			continue
		}
		var lines bytes.Buffer
		for _, r := range event.Records {
			number, _, _ := strings.Cut(string(r.Kinesis.Data), " ")
			fmt.Fprintf(&lines, "%s %s.\n", r.Kinesis.PartitionKey, number)
		}
		if _, err := out.Write(lines.Bytes()); err != nil {
			panic(err)
		}
		post(base+id+"/response", "{}")
	}
}

func post(url, body string) {
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		os.Exit(0)
	}
	resp.Body.Close()
}
