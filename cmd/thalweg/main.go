// Command thalweg is a self-hosted AWS Kinesis: the server, and the tools to
// work with it, in one program. It hides how a server is configured and how
// its operations are called; what a stream is and how bytes are kept it never
// knows: serve leaves that to package server, the rest speaks AWS's protocol
// to an endpoint like any other client.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
