package server

import (
	"maps"
	"net/http"
	"strings"
	"testing"
)

// What the KPL and the KCL put to CloudWatch is to be seen at /metrics, under
// their namespaces and dimensions.
func TestClientFigures(t *testing.T) {
	h := run(t, Config{Ephemeral: true, Auth: AuthNone})
	for _, value := range []string{"2", "-5"} {
		resp, err := h.http.Post(h.url, "application/x-www-form-urlencoded", strings.NewReader("Action=PutMetricData&Version=2010-08-01&Namespace=n"+
			"&MetricData.member.1.MetricName=m%22%FF&MetricData.member.1.Value="+value+"&MetricData.member.1.Dimensions.member.1.Name=d&MetricData.member.1.Dimensions.member.1.Value=v"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
	}
	const labels = `{account="000000000000",dimensions="d=v",metric="m\"` + "\ufffd" + `",namespace="n",unit="None"}`
	want := map[string]string{
		"thalweg_cloudwatch_sum" + labels:     "-3",
		"thalweg_cloudwatch_count" + labels:   "2",
		"thalweg_cloudwatch_minimum" + labels: "-5",
		"thalweg_cloudwatch_maximum" + labels: "-5",
		"thalweg_cloudwatch_dropped_total":    "0",
	}
	if got := h.series(t, "thalweg_cloudwatch_"); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	h.http.CloseIdleConnections()
	if err := h.end(); err != nil {
		t.Error(err)
	}
}
