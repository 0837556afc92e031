package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

const functionsPath = "/2015-03-31/functions"

func newFn() *cobra.Command {
	cmd := &cobra.Command{Use: "fn", Short: "Deploy, invoke and watch functions"}
	cmd.AddCommand(newFnDeploy(), newFnInvoke(), newFnLogs(), newFnList(), newFnMap())
	return cmd
}

// fnConfig is what we show of Lambda's FunctionConfiguration.
type fnConfig struct {
	FunctionName, FunctionArn, Runtime, Handler, LastModified, Version, State string
	CodeSize                                                                  int64
	Timeout, MemorySize                                                       int
}

// rest calls an operation of Lambda. An answer of 300 or more is an *apiError.
func (c *client) rest(ctx context.Context, op, method, path string, header http.Header, body []byte) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.endpoint+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, fmt.Errorf("--endpoint: %w", err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if err := c.sign(ctx, req, body, "lambda"); err != nil {
		return nil, nil, fmt.Errorf("%s: sign: %w", op, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode < 300 {
		return resp, answer, nil
	}
	e := &apiError{op: op, status: resp.StatusCode}
	if json.Unmarshal(answer, e) != nil {
		e.Message = strings.TrimSpace(string(answer[:min(len(answer), 200)]))
	}
	e.Type = resp.Header.Get("X-Amzn-Errortype")
	return nil, nil, e
}

// lambda is rest for JSON both ways; in and out may be nil.
func (c *client) lambda(ctx context.Context, op, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
	}
	_, answer, err := c.rest(ctx, op, method, path, http.Header{"Content-Type": {"application/json"}}, body)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s: the answer does not parse: %w", op, err)
	}
	return nil
}

func newFnList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List functions", Args: cobra.NoArgs}
	conn, output := connectFlags(cmd), outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := conn.client()
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		defer w.Flush()
		for marker := ""; ; {
			var out struct {
				Functions  []fnConfig
				NextMarker string
			}
			if err := c.lambda(cmd.Context(), "ListFunctions", http.MethodGet, functionsPath+"?Marker="+url.QueryEscape(marker), nil, &out); err != nil {
				return err
			}
			for _, f := range out.Functions {
				if output.value == "json" {
					err = printJSON(cmd.OutOrStdout(), f)
				} else {
					_, err = fmt.Fprintf(w, "%s\t%s\t%s\t%d MB\t%d s\t%s\n", f.FunctionName, f.Runtime, f.Handler, f.MemorySize, f.Timeout, f.LastModified)
				}
				if err != nil {
					return err
				}
			}
			if marker = out.NextMarker; marker == "" {
				return nil
			}
		}
	}
	return cmd
}

func newFnInvoke() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "invoke NAME [PAYLOAD]",
		Short: "Invoke a function and print what it answers",
		Long: `invoke prints what a function answers, and with --tail, on standard error, the end
of what it logged. PAYLOAD is JSON; - reads it from standard input. The exit code
is 1 when the function has failed.`,
		Args: cobra.RangeArgs(1, 2),
	}
	conn := connectFlags(cmd)
	event := cmd.Flags().Bool("event", false, "queue the payload, and do not wait")
	tail := cmd.Flags().Bool("tail", false, "show the end of the log")
	qualifier := cmd.Flags().String("qualifier", "", "a version or an alias; $LATEST when left out")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := conn.client()
		if err != nil {
			return err
		}
		c.http.Timeout = 0 // a function takes as long as it may
		payload := []byte("{}")
		if len(args) == 2 {
			payload = []byte(args[1])
		}
		if string(payload) == "-" {
			if payload, err = io.ReadAll(cmd.InOrStdin()); err != nil {
				return err
			}
		}
		header := http.Header{}
		if *event {
			header.Set("X-Amz-Invocation-Type", "Event")
		} else if *tail {
			header.Set("X-Amz-Log-Type", "Tail")
		}
		path := functionsPath + "/" + url.PathEscape(args[0]) + "/invocations"
		if *qualifier != "" {
			path += "?Qualifier=" + url.QueryEscape(*qualifier)
		}
		resp, answer, err := c.rest(cmd.Context(), "Invoke", http.MethodPost, path, header, payload)
		if err != nil {
			return err
		}
		if log, err := base64.StdEncoding.DecodeString(resp.Header.Get("X-Amz-Log-Result")); err == nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s", log)
		}
		if *event {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "queued as %s\n", resp.Header.Get("X-Amzn-Requestid"))
			return err
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", answer); err != nil {
			return err
		}
		if resp.Header.Get("X-Amz-Function-Error") != "" {
			return hinted{fmt.Errorf("%s has failed", args[0]), "See what it logged with `thalweg fn logs " + args[0] + "`."}
		}
		return nil
	}
	return cmd
}

func newFnLogs() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "logs NAME",
		Short: "Print what a function has logged",
		Long: `logs prints the end of what a function has written, each line after its time. The
server keeps the last 4 to 8 MB. It has to be on this machine, or verify
signatures.`,
		Args: cobra.ExactArgs(1),
	}
	conn := connectFlags(cmd)
	follow := cmd.Flags().BoolP("follow", "f", false, "go on as more is written")
	size := cmd.Flags().Int("bytes", 64<<10, "how much of the end to print")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := conn.client()
		if err != nil {
			return err
		}
		var f fnConfig
		if err := c.lambda(cmd.Context(), "GetFunctionConfiguration", http.MethodGet, functionsPath+"/"+url.PathEscape(args[0])+"/configuration", nil, &f); err != nil {
			return err
		}
		arn := strings.Split(f.FunctionArn, ":") // arn:aws:lambda:region:account:function:name
		if len(arn) < 7 {
			return fmt.Errorf("the server calls the function %q", f.FunctionArn)
		}
		path := fmt.Sprintf("/admin/functions/logs?region=%s&account=%s&name=%s&bytes=", arn[3], arn[4], arn[6])
		seen := ""
		for most := *size; ; most = 1 << 20 {
			text, err := c.adminText(cmd.Context(), fmt.Sprint(path, most))
			if err != nil {
				return err
			}
			if _, err := io.WriteString(cmd.OutOrStdout(), fresh(seen, text)); err != nil {
				return err
			}
			if !*follow {
				return nil
			}
			seen = text
			select {
			case <-cmd.Context().Done():
				return nil
			case <-time.After(500 * time.Millisecond):
			}
		}
	}
	return cmd
}

// fresh is the lines of now that come after the last ones of seen, which may
// have lost their beginning.
func fresh(seen, now string) string {
	if seen == "" {
		return now
	}
	if rest, ok := strings.CutPrefix(now, seen); ok {
		return rest
	}
	end := seen[max(0, len(seen)-4096):] // enough to be there only once
	if at := strings.LastIndex(now, end); at >= 0 {
		return now[at+len(end):]
	}
	return now
}

// adminText reads text from what a server answers besides AWS's operations.
func (c *client) adminText(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.endpoint+path, nil)
	if err != nil {
		return "", fmt.Errorf("--endpoint: %w", err)
	}
	if err := c.sign(ctx, req, nil, "thalweg"); err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return "", c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", c.unreachable(ctx, err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", errors.New(strings.TrimSpace(string(b[:min(len(b), 200)])))
	}
	return string(b), nil
}
