package conformance

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// The services around Kinesis, as the SDK calls them when nothing but the
// endpoint is set: STS in Query, CloudWatch in rpc-v2-cbor with bodies in gzip
// from 10 KiB on.
func TestAround(t *testing.T) {
	for _, variable := range []string{"THALWEG_HTTP", "THALWEG_HTTPS"} {
		t.Run(variable, func(t *testing.T) {
			url := endpoint(t, variable)
			cfg := must[aws.Config](t)(config.LoadDefaultConfig(t.Context(), config.WithBaseEndpoint(url)))
			roles := sts.NewFromConfig(cfg)
			me := must[*sts.GetCallerIdentityOutput](t)(roles.GetCallerIdentity(t.Context(), nil))
			if *me.Account != "000000000000" || *me.Arn != "arn:aws:iam::000000000000:root" {
				t.Errorf("the caller is %s, %s", *me.Account, *me.Arn)
			}
			_, err := roles.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::111122223333:role/r"), RoleSessionName: aws.String("session"), Policy: aws.String("{}")})
			var refused smithy.APIError
			if !errors.As(err, &refused) || refused.ErrorCode() != "ValidationError" {
				t.Errorf("a session with a policy: %v", err)
			}

			// A role's credentials, as the SDK fetches them by itself.
			cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(roles, "arn:aws:iam::111122223333:role/reader"))
			me = must[*sts.GetCallerIdentityOutput](t)(sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil))
			if *me.Account != "111122223333" || !strings.HasPrefix(*me.Arn, "arn:aws:sts::111122223333:assumed-role/reader/") {
				t.Errorf("the session is %s, %s", *me.Account, *me.Arn)
			}
			must[*kinesis.ListStreamsOutput](t)(kinesis.NewFromConfig(cfg).ListStreams(t.Context(), nil))

			watch := cloudwatch.NewFromConfig(cfg)
			namespace := "conformance/" + variable
			for _, n := range []int{1, 900} { // the second is compressed
				var data []types.MetricDatum
				for i := range n {
					data = append(data, types.MetricDatum{MetricName: aws.String("m"), Timestamp: aws.Time(time.Now()), Value: aws.Float64(float64(i)),
						Dimensions: []types.Dimension{{Name: aws.String("n"), Value: aws.String(fmt.Sprint(n))}}})
				}
				must[*cloudwatch.PutMetricDataOutput](t)(watch.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: &namespace, MetricData: data}))
			}
			_, err = watch.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: &namespace, MetricData: []types.MetricDatum{{MetricName: aws.String("m")}}})
			var missing *types.MissingRequiredParameterException
			if !errors.As(err, &missing) || missing.ErrorCode() != "MissingParameter" {
				t.Errorf("a datum without a value: %v", err)
			}
			resp := must[*http.Response](t)(http.Get(endpoint(t, "THALWEG_HTTP") + "/metrics"))
			defer resp.Body.Close()
			text := string(must[[]byte](t)(io.ReadAll(resp.Body)))
			want := fmt.Sprintf(`thalweg_cloudwatch_sum{account="111122223333",dimensions="n=900",metric="m",namespace="%s",unit="None"} %d`, namespace, 899*900/2)
			if !strings.Contains(text, want) {
				t.Errorf("/metrics has no %s", want)
			}
		})
	}
}
