package metric

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func scrape(r *Registry) string {
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

func TestRegistry(t *testing.T) {
	r := New("1.2.3", "abc")
	r.Observe("kinesis", "PutRecord", 200, time.Millisecond)
	r.Observe("kinesis", "PutRecord", 200, time.Second)
	r.Observe("kinesis", "PutRecord", 400, time.Second)
	r.Gauge("thalweg_streams", "Streams.", func() float64 { return 7 })
	r.Counter("thalweg_syncs_total", "Syncs.", func() float64 { return 9 })
	got := scrape(r)
	for _, want := range []string{
		`thalweg_requests_total{operation="PutRecord",service="kinesis",status="200"} 2`,
		`thalweg_requests_total{operation="PutRecord",service="kinesis",status="400"} 1`,
		`thalweg_request_duration_seconds_count{operation="PutRecord",service="kinesis"} 3`,
		`thalweg_request_duration_seconds_bucket{operation="PutRecord",service="kinesis",le="0.001"} 1`,
		`thalweg_build_info{commit="abc",version="1.2.3"} 1`,
		"thalweg_streams 7", "thalweg_syncs_total 9", "go_goroutines ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("/metrics has no line %q", want)
		}
	}
}

// The promise of the package comment.
func TestObserveAllocatesNothing(t *testing.T) {
	r := New("", "")
	r.Observe("kinesis", "PutRecords", 200, time.Millisecond)
	if n := testing.AllocsPerRun(100, func() { r.Observe("kinesis", "PutRecords", 200, time.Millisecond) }); n != 0 {
		t.Errorf("Observe allocates %v times", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	r := New("", "")
	for b.Loop() {
		r.Observe("kinesis", "PutRecords", 200, time.Millisecond)
	}
}
