package dynamodb

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/table"
)

// UpdateTable changes a table's options and its global indexes. An index that
// is made of a small table is ACTIVE when the answer comes.

type updateTableRequest struct {
	TableName                   *string `aws:"required,min=1,max=1024"`
	AttributeDefinitions        []attributeDefinition
	GlobalSecondaryIndexUpdates []indexUpdate
	ReplicaUpdates              []struct{}
	tableOptions
}

type indexUpdate struct {
	Create *globalIndex
	Update *indexChange
	Delete *indexDelete
}

type indexChange struct {
	IndexName             *string `aws:"required,min=3,max=255,pattern=[a-zA-Z0-9_.-]+"`
	ProvisionedThroughput *throughputShape
	OnDemandThroughput    *onDemandThroughput
	WarmThroughput        *warmThroughput
}

type indexDelete struct {
	IndexName *string `aws:"required,min=3,max=255,pattern=[a-zA-Z0-9_.-]+"`
}

func (a *api) updateTable(ctx context.Context, c *gate.Call, in *updateTableRequest) (*tableDescriptionAnswer, error) {
	n, err := nameOf(c, text(in.TableName))
	if err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	if len(in.ReplicaUpdates) > 0 {
		return nil, unsupported("ReplicaUpdates (global tables)")
	}
	if in.BillingMode == nil && in.ProvisionedThroughput == nil && len(in.GlobalSecondaryIndexUpdates) == 0 && in.DeletionProtectionEnabled == nil &&
		in.TableClass == nil && in.StreamSpecification == nil && in.SSESpecification == nil && in.OnDemandThroughput == nil {
		return nil, invalid("At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required")
	}
	i, err := a.tables.Change(ctx, n, in.change)
	if err != nil {
		return nil, err
	}
	return &tableDescriptionAnswer{describe(i)}, nil
}

// change makes the changes in a definition.
func (in *updateTableRequest) change(d *table.Definition) error {
	if err := in.billing(d); err != nil {
		return err
	}
	if in.DeletionProtectionEnabled != nil {
		d.Protected = *in.DeletionProtectionEnabled
	}
	if in.TableClass != nil {
		d.Class = *in.TableClass
	}
	t, err := typesOf(in.AttributeDefinitions)
	if err != nil {
		return err
	}
	for _, k := range d.Attributes() {
		if is := t[k.Name]; is != 0 && is != k.Type {
			return invalid(parameters+"Attributes cannot be redefined. Please check that your attribute has the same type as previously defined. Existing: %s:%s New: %s:%s", k.Name, k.Type, k.Name, is)
		}
	}
	made := 0
	for _, u := range in.GlobalSecondaryIndexUpdates {
		if u.Create != nil || u.Delete != nil {
			made++
		}
	}
	if made > 1 {
		return fault.New(fault.Limit, "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table")
	}
	for _, u := range in.GlobalSecondaryIndexUpdates {
		if err := u.change(d, t); err != nil {
			return err
		}
	}
	return counts(d)
}

func (in *updateTableRequest) billing(d *table.Definition) error {
	if in.BillingMode != nil {
		onDemand := *in.BillingMode == "PAY_PER_REQUEST"
		if onDemand && !d.OnDemand {
			d.Billed, d.Throughput = time.Now().UnixMilli(), table.Throughput{}
			for i := range d.Indexes {
				d.Indexes[i].Throughput = table.Throughput{}
			}
		}
		if !onDemand && d.OnDemand && in.ProvisionedThroughput == nil {
			return invalid(parameters + "ProvisionedThroughput must be specified when BillingMode is PROVISIONED")
		}
		d.OnDemand = onDemand
	}
	if in.ProvisionedThroughput == nil {
		return nil
	}
	var err error
	d.Throughput, err = throughput(in.ProvisionedThroughput, d.OnDemand, "")
	return err
}

func (u *indexUpdate) change(d *table.Definition, t types) error {
	at := func(name *string) int {
		return slices.IndexFunc(d.Indexes, func(x table.Index) bool { return x.Name == *name && !x.Local })
	}
	kinds := given(parameter{"Update", u.Update != nil}, parameter{"Create", u.Create != nil}, parameter{"Delete", u.Delete != nil})
	if len(kinds) > 1 {
		return invalid(parameters+"Only one of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, GlobalSecondaryIndexUpdate.Delete may be given: %s", strings.Join(kinds, ", "))
	}
	switch {
	case u.Create != nil:
		if d.Index(*u.Create.IndexName) != nil {
			return invalid("Attempting to create an index which already exists")
		}
		return u.Create.add(d, t)
	case u.Update != nil:
		if err := unbuilt(u.Update.OnDemandThroughput, u.Update.WarmThroughput); err != nil {
			return err
		}
		i := at(u.Update.IndexName)
		if i < 0 {
			return fault.New(fault.NotFound, "Requested resource not found")
		}
		var err error
		d.Indexes[i].Throughput, err = throughput(u.Update.ProvisionedThroughput, d.OnDemand, "index: "+*u.Update.IndexName)
		return err
	case u.Delete != nil:
		i := at(u.Delete.IndexName)
		if i < 0 {
			return fault.New(fault.NotFound, "Requested resource not found")
		}
		d.Indexes = slices.Delete(d.Indexes, i, i+1)
		return nil
	}
	return invalid(parameters + "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, GlobalSecondaryIndexUpdate.Delete must not be null")
}
