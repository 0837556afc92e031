package dynamodb

import (
	"context"

	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/table"
)

// CreateTable makes a table. AWS answers while it is CREATING; here it is
// ACTIVE, and can be used, when the answer comes.

type createTableRequest struct {
	TableName              *string               `aws:"required,min=1,max=1024"`
	AttributeDefinitions   []attributeDefinition `aws:"required"`
	KeySchema              []keyElement          `aws:"required,min=1,max=2"`
	LocalSecondaryIndexes  []localIndex
	GlobalSecondaryIndexes []globalIndex
	Tags                   []tag
	ResourcePolicy         *string
	tableOptions
}

type tableDescriptionAnswer struct{ TableDescription tableDescription }

func (a *api) createTable(ctx context.Context, c *gate.Call, in *createTableRequest) (*tableDescriptionAnswer, error) {
	n, err := nameOf(c, text(in.TableName))
	if err != nil {
		return nil, err
	}
	def, err := in.definition()
	if err != nil {
		return nil, err
	}
	i, err := a.tables.Create(ctx, n, *def)
	if err != nil {
		return nil, err
	}
	return &tableDescriptionAnswer{describe(i)}, nil
}

func (in *createTableRequest) definition() (*table.Definition, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	if in.ResourcePolicy != nil {
		return nil, unsupported("ResourcePolicy")
	}
	d := &table.Definition{
		OnDemand:  text(in.BillingMode) == "PAY_PER_REQUEST",
		Protected: yes(in.DeletionProtectionEnabled),
		Class:     text(in.TableClass),
	}
	t, err := typesOf(in.AttributeDefinitions)
	if err != nil {
		return nil, err
	}
	if d.Throughput, err = throughput(in.ProvisionedThroughput, d.OnDemand, ""); err != nil {
		return nil, err
	}
	if d.Keys, err = schema(in.KeySchema, t, "index key"); err != nil {
		return nil, err
	}
	switch {
	case in.LocalSecondaryIndexes != nil && len(in.LocalSecondaryIndexes) == 0:
		return nil, invalid(parameters + "List of LocalSecondaryIndexes is empty")
	case in.GlobalSecondaryIndexes != nil && len(in.GlobalSecondaryIndexes) == 0:
		return nil, invalid(parameters + "List of GlobalSecondaryIndexes is empty")
	}
	for i := range in.LocalSecondaryIndexes {
		if _, err := in.LocalSecondaryIndexes[i].add(d, t, true); err != nil {
			return nil, err
		}
	}
	for i := range in.GlobalSecondaryIndexes {
		if err := in.GlobalSecondaryIndexes[i].add(d, t); err != nil {
			return nil, err
		}
	}
	if err := counts(d); err != nil {
		return nil, err
	}
	if err := t.used(d); err != nil {
		return nil, err
	}
	if len(in.Tags) > 0 {
		d.Tags, err = addTags(nil, in.Tags)
	}
	return d, err
}
