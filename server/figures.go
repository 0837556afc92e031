package server

import (
	"time"

	"github.com/thalweg/thalweg/internal/metric"
	"github.com/thalweg/thalweg/stream"
)

// figure is one of AWS's CloudWatch metrics of Kinesis as /metrics has it, of a
// T. The name is AWS's in Prometheus's form: PutRecords.ThrottledRecords is
// thalweg_kinesis_put_records_throttled_records_total. Latencies are in
// seconds. (Amazon Kinesis Data Streams Developer Guide, "Monitoring the
// service with CloudWatch"; the metrics that it calls deprecated are left out)
type figure[T any] struct {
	name, help string
	kind       metric.Kind
	aws        string // what enhanced monitoring calls it, where that decides whether it is there
	read       func(f *T) (value float64, count uint64)
}

// bundle appends figures to families, under labels, and returns what samples
// them all.
func bundle[T any](families []metric.Family, labels []string, figures []figure[T]) ([]metric.Family, func(metric.Sample, *T, []string, func(aws string) bool)) {
	first := len(families)
	for _, f := range figures {
		families = append(families, metric.Family{Name: "thalweg_kinesis_" + f.name, Help: f.help, Kind: f.kind, Labels: labels})
	}
	return families, func(sample metric.Sample, of *T, labels []string, wanted func(aws string) bool) {
		for i, f := range figures {
			if wanted != nil && !wanted(f.aws) {
				continue
			}
			if value, count := f.read(of); f.kind != metric.Gauge || value >= 0 {
				sample(first+i, labels, value, count)
			}
		}
	}
}

// exportStreams makes /metrics show what streams count: a few series for each
// stream and each of its consumers, and for its shards those that enhanced
// monitoring is on for.
func exportStreams(r *metric.Registry, streams *stream.Streams) {
	ofStream := []string{"account", "region", "stream"}
	families, sampleStream := bundle(nil, ofStream, streamFigures())
	families, sampleConsumer := bundle(families, append(ofStream[:3:3], "consumer"), consumerFigures())
	families, sampleShard := bundle(families, append(ofStream[:3:3], "shard"), shardFigures())
	r.Collect(families, func(sample metric.Sample) {
		for f := range streams.Figures() {
			labels := []string{f.Account, f.Region, f.Name}
			sampleStream(sample, &f, labels, nil)
			for i := range f.Consumers {
				sampleConsumer(sample, &f.Consumers[i], append(labels[:3:3], f.Consumers[i].Name), nil)
			}
			on := make(map[string]bool, len(f.Metrics))
			for _, m := range f.Metrics {
				on[m] = true
			}
			for i := range f.Shards {
				sampleShard(sample, &f.Shards[i], append(labels[:3:3], f.Shards[i].ID), func(aws string) bool { return on[aws] })
			}
		}
	})
}

func number(n int64) (float64, uint64) { return float64(n), 0 }

func timed(t *stream.Timed) (float64, uint64) {
	calls, all := t.Load()
	return all.Seconds(), uint64(calls)
}

func streamFigures() []figure[stream.Figures] {
	type f = stream.Figures
	return []figure[f]{
		{"incoming_bytes_total", "Bytes of partition keys and data that were stored.", metric.Counter, "",
			func(f *f) (float64, uint64) { return number(f.InBytes.Load()) }},
		{"incoming_records_total", "Records that were stored.", metric.Counter, "",
			func(f *f) (float64, uint64) { return number(f.InRecords.Load()) }},

		{"put_record_bytes_total", "Bytes of partition keys and data that PutRecord was asked to put.", metric.Counter, "",
			func(f *f) (float64, uint64) { return number(f.Put.Bytes.Load()) }},
		{"put_record_latency_seconds", "Time that calls of PutRecord took.", metric.Summary, "",
			func(f *f) (float64, uint64) { return timed(&f.Put.Timed) }},
		{"put_record_success_total", "Successful calls of PutRecord.", metric.Counter, "",
			func(f *f) (float64, uint64) { return number(f.Put.OK.Load()) }},

		{"put_records_bytes_total", "Bytes of partition keys and data that PutRecords was asked to put.", metric.Counter, "",
			func(f *f) (float64, uint64) { return number(f.PutMany.Bytes.Load()) }},
		{"put_records_latency_seconds", "Time that calls of PutRecords took.", metric.Summary, "",
			func(f *f) (float64, uint64) { return timed(&f.PutMany.Timed) }},
		{"put_records_success_total", "Calls of PutRecords that stored at least one record.", metric.Counter, "",
			func(f *f) (float64, uint64) { return number(f.PutMany.OK.Load()) }},
		{"put_records_total_records_total", "Records that PutRecords was asked to put.", metric.Counter, "",
			func(f *f) (float64, uint64) { return number(f.PutMany.Records.Load()) }},
		{"put_records_successful_records_total", "Records that PutRecords has stored.", metric.Counter, "",
			func(f *f) (float64, uint64) { return number(f.PutMany.Stored.Load()) }},
		{"put_records_failed_records_total", "Records that PutRecords could not store because of an internal failure.", metric.Counter, "",
			func(f *f) (float64, uint64) { return number(f.PutMany.OtherFails.Load()) }},
		{"put_records_throttled_records_total", "Records that PutRecords refused because they were beyond their shard's limits.", metric.Counter, "",
			func(f *f) (float64, uint64) { return number(f.PutMany.Throttled.Load()) }},

		{"get_records_bytes_total", "Bytes of partition keys and data that GetRecords has returned.", metric.Counter, "",
			func(f *f) (float64, uint64) { return number(f.OutBytes.Load()) }},
		{"get_records_records_total", "Records that GetRecords has returned.", metric.Counter, "",
			func(f *f) (float64, uint64) { return number(f.OutCount.Load()) }},
		{"get_records_latency_seconds", "Time that successful calls of GetRecords took.", metric.Summary, "",
			func(f *f) (float64, uint64) { return timed(&f.Gets) }},
		{"get_records_success_total", "Successful calls of GetRecords.", metric.Counter, "",
			func(f *f) (float64, uint64) { n, _ := f.Gets.Load(); return number(n) }},
		{"get_records_iterator_age_milliseconds", "How far the latest GetRecords of a shard was behind its newest record, of the shard where that is most. There is none while nobody has read for five minutes.", metric.Gauge, "",
			func(f *f) (float64, uint64) { return number(f.AgeMillis) }},

		{"read_provisioned_throughput_exceeded_total", "Calls of GetRecords refused because they were beyond their shard's limits.", metric.Counter, "",
			func(f *f) (float64, uint64) { return number(f.GetsRefused.Load()) }},
		{"write_provisioned_throughput_exceeded_total", "Records that PutRecord and PutRecords refused because they were beyond their shard's limits.", metric.Counter, "",
			func(f *f) (float64, uint64) { return number(f.Put.Throttled.Load() + f.PutMany.Throttled.Load()) }},
	}
}

func consumerFigures() []figure[stream.ConsumerFigures] {
	type f = stream.ConsumerFigures
	return []figure[f]{
		{"subscribe_to_shard_success_total", "Subscriptions that began.", metric.Counter, "",
			func(f *f) (float64, uint64) { return number(f.Subscribed.Load()) }},
		{"subscribe_to_shard_rate_exceeded_total", "Subscriptions refused because there was one that had just begun.", metric.Counter, "",
			func(f *f) (float64, uint64) { return number(f.Refused.Load()) }},
		{"subscribe_to_shard_event_success_total", "Events sent to subscriptions.", metric.Counter, "",
			func(f *f) (float64, uint64) { return number(f.Events.Load()) }},
		{"subscribe_to_shard_event_bytes_total", "Bytes of partition keys and data in events.", metric.Counter, "",
			func(f *f) (float64, uint64) { return number(f.EventBytes.Load()) }},
		{"subscribe_to_shard_event_records_total", "Records in events.", metric.Counter, "",
			func(f *f) (float64, uint64) { return number(f.EventRecords.Load()) }},
		{"subscribe_to_shard_event_millis_behind_latest", "How far the latest event of a subscription was behind the shard's newest record, of the subscription where that is most. There is none without a subscription.", metric.Gauge, "",
			func(f *f) (float64, uint64) { return number(f.BehindMillis) }},
		{"subscriptions", "Subscriptions that are open.", metric.Gauge, "",
			func(f *f) (float64, uint64) { return number(int64(f.Subscriptions)) }},
	}
}

func shardFigures() []figure[stream.ShardFigures] {
	type f = stream.ShardFigures
	return []figure[f]{
		{"shard_incoming_bytes_total", "Bytes of partition keys and data stored in the shard.", metric.Counter, "IncomingBytes",
			func(f *f) (float64, uint64) { return number(f.InBytes) }},
		{"shard_incoming_records_total", "Records stored in the shard.", metric.Counter, "IncomingRecords",
			func(f *f) (float64, uint64) { return number(f.InRecords) }},
		{"shard_outgoing_bytes_total", "Bytes of partition keys and data that GetRecords has returned of the shard.", metric.Counter, "OutgoingBytes",
			func(f *f) (float64, uint64) { return number(f.OutBytes) }},
		{"shard_outgoing_records_total", "Records that GetRecords has returned of the shard.", metric.Counter, "OutgoingRecords",
			func(f *f) (float64, uint64) { return number(f.OutRecords) }},
		{"shard_write_provisioned_throughput_exceeded_total", "Records refused because they were beyond the shard's limits.", metric.Counter, "WriteProvisionedThroughputExceeded",
			func(f *f) (float64, uint64) { return number(f.WriteRefused) }},
		{"shard_read_provisioned_throughput_exceeded_total", "Calls of GetRecords refused because they were beyond the shard's limits.", metric.Counter, "ReadProvisionedThroughputExceeded",
			func(f *f) (float64, uint64) { return number(f.ReadRefused) }},
		{"shard_iterator_age_milliseconds", "How far the latest GetRecords of the shard was behind its newest record. There is none while nobody has read for five minutes.", metric.Gauge, "IteratorAgeMilliseconds",
			func(f *f) (float64, uint64) { return number(f.AgeMillis) }},
	}
}

// watchCommits returns what the journal tells of every group that it has
// written: how many appends and commands it holds, its bytes, and how long the
// sync took.
func watchCommits(r *metric.Registry) func(frames int, bytes int64, sync time.Duration) {
	frames := r.Histogram("thalweg_log_group_frames", "Appends and commands that shared one write and one sync of the log.",
		[]float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096})
	size := r.Histogram("thalweg_log_group_bytes", "Bytes of one write of the log.",
		[]float64{4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20})
	seconds := r.Histogram("thalweg_log_sync_duration_seconds", "Time that one sync of the log took.",
		[]float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5})
	return func(n int, bytes int64, sync time.Duration) {
		frames(float64(n))
		size(float64(bytes))
		seconds(sync.Seconds())
	}
}
