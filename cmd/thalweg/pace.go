package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The room that garbage has before it is collected: half of what is alive, but
// leastGarbage at least. Most of the server's memory is the log's, outside the
// heap; by Go's own rule, as much garbage as is alive, a server with little
// alive would collect all the time, and one that hands out large answers keep
// their like twice.
const (
	leastGarbage = 32 << 20
	leastHeap    = 4 << 20 // taken to be alive where less is
)

// pace sets the collector's pace by what is alive, until ctx ends. Whoever has
// set GOGC or GOMEMLIMIT wants another.
func pace(ctx context.Context) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	alive := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for set := 0; ; {
		metrics.Read(alive)
		if p := percent(alive[0].Value.Uint64()); p*10 < set*9 || p*10 > set*11 { // setting it stops the world
			set = p
			debug.SetGCPercent(p)
		}
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

// percent is the GOGC that leaves the room.
func percent(alive uint64) int {
	alive = max(alive, leastHeap)
	return int(max(leastGarbage, alive/2) * 100 / alive)
}
