package conformance

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// TestGoTables uses tables as the KCL's successors in Go do: waiters, types of
// exceptions, conditions, the index made later, paginators, transactions.
func TestGoTables(t *testing.T) {
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithBaseEndpoint(os.Getenv("THALWEG_HTTP")))
	if err != nil {
		t.Fatal(err)
	}
	c := dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { o.RetryMaxAttempts = 1 })
	name := aws.String(fmt.Sprint("go-", time.Now().UnixNano()))
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	key := func(s string) map[string]types.AttributeValue {
		return map[string]types.AttributeValue{"ShardID": text(s)}
	}
	var missing *types.ResourceNotFoundException
	if _, err := c.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: name}); !errors.As(err, &missing) {
		t.Fatalf("%v", err)
	}
	if _, err := c.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: name, BillingMode: types.BillingModePayPerRequest,
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("ShardID"), KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("ShardID"), AttributeType: types.ScalarAttributeTypeS}},
	}); err != nil {
		t.Fatal(err)
	}
	if err := dynamodb.NewTableExistsWaiter(c).Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: name}, time.Minute); err != nil {
		t.Fatal(err)
	}
	put := &dynamodb.PutItemInput{
		TableName: name, Item: map[string]types.AttributeValue{"ShardID": text("s1"), "AssignedTo": text("w1")},
		ConditionExpression: aws.String("attribute_not_exists(AssignedTo)"), ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if _, err := c.PutItem(t.Context(), put); err != nil {
		t.Fatal(err)
	}
	var failed *types.ConditionalCheckFailedException
	if _, err := c.PutItem(t.Context(), put); !errors.As(err, &failed) || failed.Item["AssignedTo"].(*types.AttributeValueMemberS).Value != "w1" {
		t.Fatalf("%v", err)
	}
	// vmware-go-kcl-v2: a keyword in lower case, no blank before AND.
	if _, err := c.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: name, Key: key("s1"), UpdateExpression: aws.String("remove AssignedTo"),
		ConditionExpression:       aws.String("attribute_not_exists(ClaimRequest)AND AssignedTo = :assigned_to"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":assigned_to": text("w1")},
	}); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		if _, err := c.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: name, Item: map[string]types.AttributeValue{
			"ShardID": text(fmt.Sprint("p", i)), "owner": text("me"), "at": &types.AttributeValueMemberN{Value: fmt.Sprint(i)},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.UpdateTable(t.Context(), &dynamodb.UpdateTableInput{
		TableName: name, AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("owner"), AttributeType: types.ScalarAttributeTypeS}},
		GlobalSecondaryIndexUpdates: []types.GlobalSecondaryIndexUpdate{{Create: &types.CreateGlobalSecondaryIndexAction{
			IndexName: aws.String("byOwner"), KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("owner"), KeyType: types.KeyTypeHash}},
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
		}}},
	}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	pages := dynamodb.NewQueryPaginator(c, &dynamodb.QueryInput{
		TableName: name, IndexName: aws.String("byOwner"), Limit: aws.Int32(7), KeyConditionExpression: aws.String("#o = :o"),
		ExpressionAttributeNames: map[string]string{"#o": "owner"}, ExpressionAttributeValues: map[string]types.AttributeValue{":o": text("me")},
	})
	for pages.HasMorePages() {
		p, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range p.Items {
			seen[i["ShardID"].(*types.AttributeValueMemberS).Value] = true
		}
	}
	if len(seen) != 30 {
		t.Errorf("%d items by owner", len(seen))
	}
	var cancelled *types.TransactionCanceledException
	_, err = c.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{Delete: &types.Delete{TableName: name, Key: key("p1")}},
		{ConditionCheck: &types.ConditionCheck{TableName: name, Key: key("p2"), ConditionExpression: aws.String("attribute_not_exists(ShardID)")}},
	}})
	if !errors.As(err, &cancelled) || len(cancelled.CancellationReasons) != 2 || aws.ToString(cancelled.CancellationReasons[1].Code) != "ConditionalCheckFailed" {
		t.Fatalf("%v", err)
	}
	if _, err := c.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: name}); err != nil {
		t.Fatal(err)
	}
	if err := dynamodb.NewTableNotExistsWaiter(c).Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: name}, time.Minute); err != nil {
		t.Fatal(err)
	}
}
