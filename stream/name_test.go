package stream

import "testing"

// ARNs name the partition that the region belongs to.
func TestARN(t *testing.T) {
	for region, want := range map[string]string{
		"us-east-1":      "arn:aws:kinesis:us-east-1:000000000000:stream/s",
		"eu-central-1":   "arn:aws:kinesis:eu-central-1:000000000000:stream/s",
		"cn-north-1":     "arn:aws-cn:kinesis:cn-north-1:000000000000:stream/s",
		"us-gov-west-1":  "arn:aws-us-gov:kinesis:us-gov-west-1:000000000000:stream/s",
		"us-isob-east-1": "arn:aws-iso-b:kinesis:us-isob-east-1:000000000000:stream/s",
	} {
		if got := (Ref{Owner{"000000000000", region}, "s"}).ARN(); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}
