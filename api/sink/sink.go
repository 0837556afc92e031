// Package sink is what producers and consumers of Kinesis call besides Kinesis:
// CloudWatch's PutMetricData, in its three protocols, and STS's
// GetCallerIdentity and AssumeRole. Metric data ends in Metrics, which the
// server shows at /metrics; nobody's identity is kept, a session is its token.
//
// It never answers a query for metrics, knows no roles and no policies, and
// makes no credentials by itself: the gate, which verifies them, does.
package sink

import (
	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
)

// Config says what the operations stand on.
type Config struct {
	Metrics *Metrics
	// Issue makes temporary credentials that the gate will take.
	Issue func(gate.Session) gate.Credentials
	// OwnAccount allows roles of the caller's own account alone: without
	// policies nothing else can say who may act in another.
	OwnAccount bool
}

// New returns CloudWatch and STS.
func New(cfg Config) []*gate.Service {
	a := &api{cfg}
	return []*gate.Service{
		{
			Name: "monitoring", Target: "GraniteServiceVersion20100801", JSON10: true, RPC: true,
			Query: &gate.Query{Version: "2010-08-01", Namespace: "http://monitoring.amazonaws.com/doc/2010-08-01/", Codes: map[string]string{
				invalidValue:       "InvalidParameterValue",
				invalidCombination: "InvalidParameterCombination",
				missingParameter:   "MissingParameter",
			}},
			Ops: []gate.Op{gate.Handle("PutMetricData", a.putMetricData)},
			Later: later("thalweg has PutMetricData of CloudWatch alone, and shows at /metrics what it was given. It does not have ",
				"DeleteAlarms", "DescribeAlarms", "GetMetricData", "GetMetricStatistics", "ListMetrics", "PutMetricAlarm"),
		},
		{
			Name: "sts", Target: "AWSSecurityTokenServiceV20110615",
			Query: &gate.Query{Version: "2011-06-15", Namespace: "https://sts.amazonaws.com/doc/2011-06-15/"},
			Ops: []gate.Op{
				gate.Handle("AssumeRole", a.assumeRole),
				gate.Handle("GetCallerIdentity", a.getCallerIdentity),
			},
			Later: later("thalweg does not have this operation of STS yet: ",
				"AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "AssumeRoot", "DecodeAuthorizationMessage", "GetAccessKeyInfo", "GetFederationToken", "GetSessionToken"),
		},
	}
}

type api struct{ Config }

func later(text string, names ...string) map[string]string {
	texts := map[string]string{}
	for _, name := range names {
		texts[name] = text + name + "."
	}
	return texts
}

// The exceptions of CloudWatch that PutMetricData has, as its model names them;
// the Query protocol has other names for them.
const (
	invalidValue       = "InvalidParameterValueException"
	invalidCombination = "InvalidParameterCombinationException"
	missingParameter   = "MissingRequiredParameterException"
)

func invalidf(code, format string, args ...any) error {
	return fault.Coded(fault.Invalid, code, format, args...)
}
