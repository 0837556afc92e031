package terraform

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// TestTable creates, changes and destroys an aws_dynamodb_table.
func TestTable(t *testing.T) {
	d, ctx := dynamodb.NewFromConfig(provider(t)), t.Context()
	name := aws.String(fmt.Sprint("terraform-", time.Now().UnixNano()))
	describe := func() *types.TableDescription {
		t.Helper()
		return must[*dynamodb.DescribeTableOutput](t)(d.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: name})).Table
	}
	status := func() (string, error) {
		out, err := d.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: name})
		if err != nil {
			return "", err
		}
		return string(out.Table.TableStatus), nil
	}
	index := func() (string, error) {
		for _, g := range describe().GlobalSecondaryIndexes {
			return string(g.IndexStatus), nil
		}
		return gone, nil
	}
	expiry := func() (string, error) {
		out, err := d.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: name})
		if err != nil {
			return "", err
		}
		return string(out.TimeToLiveDescription.TimeToLiveStatus), nil
	}
	key := func(name string, kind types.KeyType) types.KeySchemaElement {
		return types.KeySchemaElement{AttributeName: &name, KeyType: kind}
	}
	attribute := func(name string) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: &name, AttributeType: types.ScalarAttributeTypeS}
	}
	read := func(attributes, indexes int, tags map[string]string) {
		t.Helper()
		table := describe()
		if table.BillingModeSummary == nil || table.BillingModeSummary.BillingMode != types.BillingModePayPerRequest || len(table.KeySchema) != 2 ||
			len(table.AttributeDefinitions) != attributes || len(table.GlobalSecondaryIndexes) != indexes || len(table.LocalSecondaryIndexes) != 0 || len(table.Replicas) != 0 ||
			table.StreamSpecification != nil || table.SSEDescription != nil || aws.ToBool(table.DeletionProtectionEnabled) ||
			table.TableClassSummary != nil && table.TableClassSummary.TableClass != types.TableClassStandard {
			t.Errorf("a plan would change %+v", table)
		}
		pitr := must[*dynamodb.DescribeContinuousBackupsOutput](t)(d.DescribeContinuousBackups(ctx, &dynamodb.DescribeContinuousBackupsInput{TableName: name})).ContinuousBackupsDescription.PointInTimeRecoveryDescription
		if pitr == nil || pitr.PointInTimeRecoveryStatus != types.PointInTimeRecoveryStatusDisabled {
			t.Errorf("%+v", pitr)
		}
		got := map[string]string{}
		for _, tag := range must[*dynamodb.ListTagsOfResourceOutput](t)(d.ListTagsOfResource(ctx, &dynamodb.ListTagsOfResourceInput{ResourceArn: table.TableArn})).Tags {
			got[*tag.Key] = *tag.Value
		}
		if !maps.Equal(got, tags) {
			t.Errorf("tags %v, not %v", got, tags)
		}
	}

	// Create.
	must[*dynamodb.CreateTableOutput](t)(d.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: name, BillingMode: types.BillingModePayPerRequest, TableClass: types.TableClassStandard, DeletionProtectionEnabled: aws.Bool(false),
		KeySchema:            []types.KeySchemaElement{key("namespace", types.KeyTypeHash), key("shard_id", types.KeyTypeRange)},
		AttributeDefinitions: []types.AttributeDefinition{attribute("namespace"), attribute("shard_id")},
		Tags:                 []types.Tag{{Key: aws.String("team"), Value: aws.String("a")}, {Key: aws.String("env"), Value: aws.String("test")}},
	}))
	until(t, "ACTIVE", []string{"CREATING"}, status)
	ttl := func(on bool) {
		t.Helper()
		must[*dynamodb.UpdateTimeToLiveOutput](t)(d.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{TableName: name,
			TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("ttl"), Enabled: &on}}))
	}
	ttl(true)
	until(t, "ENABLED", []string{"ENABLING"}, expiry)
	read(2, 0, map[string]string{"team": "a", "env": "test"})

	// Change.
	must[*dynamodb.UpdateTableOutput](t)(d.UpdateTable(ctx, &dynamodb.UpdateTableInput{
		TableName: name, AttributeDefinitions: []types.AttributeDefinition{attribute("namespace"), attribute("shard_id"), attribute("owner")},
		GlobalSecondaryIndexUpdates: []types.GlobalSecondaryIndexUpdate{{Create: &types.CreateGlobalSecondaryIndexAction{
			IndexName: aws.String("by-owner"), KeySchema: []types.KeySchemaElement{key("owner", types.KeyTypeHash)}, Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll}}}},
	}))
	until(t, "ACTIVE", []string{"CREATING", "UPDATING"}, index)
	arn := describe().TableArn
	must[*dynamodb.UntagResourceOutput](t)(d.UntagResource(ctx, &dynamodb.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"env"}}))
	must[*dynamodb.TagResourceOutput](t)(d.TagResource(ctx, &dynamodb.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("b")}}}))
	ttl(false)
	until(t, "DISABLED", []string{"DISABLING"}, expiry)
	read(3, 1, map[string]string{"team": "b"})
	must[*dynamodb.UpdateTableOutput](t)(d.UpdateTable(ctx, &dynamodb.UpdateTableInput{TableName: name,
		GlobalSecondaryIndexUpdates: []types.GlobalSecondaryIndexUpdate{{Delete: &types.DeleteGlobalSecondaryIndexAction{IndexName: aws.String("by-owner")}}}}))
	until(t, gone, []string{"DELETING", "ACTIVE"}, index)

	// What is not there says so: point_in_time_recovery, stream_enabled.
	for what, err := range map[string]error{
		"PointInTimeRecovery": second(d.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{TableName: name, PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(true)}})),
		"StreamSpecification": second(d.UpdateTable(ctx, &dynamodb.UpdateTableInput{TableName: name, StreamSpecification: &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeKeysOnly}})),
	} {
		api, ok := errors.AsType[smithy.APIError](err)
		if !ok || api.ErrorFault() == smithy.FaultServer || !strings.Contains(api.ErrorMessage(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}

	// Destroy.
	must[*dynamodb.DeleteTableOutput](t)(d.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: name}))
	until(t, gone, []string{"ACTIVE", "DELETING"}, status)
	_, err := d.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: name})
	if e, ok := errors.AsType[*types.ResourceNotFoundException](err); !ok || !strings.Contains(e.ErrorMessage(), "Requested resource not found: Table: ") {
		t.Errorf("a second destroy: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }
