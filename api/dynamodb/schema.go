package dynamodb

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/thalweg/thalweg/table"
)

// Keys and indexes as requests define them. The texts are those that dynalite
// recorded from AWS (test/createTable.js).

type throughputShape struct {
	ReadCapacityUnits  *int64 `aws:"required,min=1"`
	WriteCapacityUnits *int64 `aws:"required,min=1"`
}

type onDemandThroughput struct {
	MaxReadRequestUnits  *int64
	MaxWriteRequestUnits *int64
}

type warmThroughput struct {
	ReadUnitsPerSecond  *int64
	WriteUnitsPerSecond *int64
}

type localIndex struct {
	IndexName  *string          `aws:"required,min=3,max=255,pattern=[a-zA-Z0-9_.-]+"`
	KeySchema  []keyElement     `aws:"required,min=1,max=2"`
	Projection *projectionShape `aws:"required"`
}

type globalIndex struct {
	localIndex
	ProvisionedThroughput *throughputShape
	OnDemandThroughput    *onDemandThroughput
	WarmThroughput        *warmThroughput
}

// AWS's quotas.
const (
	maxGlobal = 20
	maxLocal  = 5
	maxNonKey = 100 // of all indexes together
)

// schema reads a key. of says whose it is.
func schema(list []keyElement, t types, of string) (s table.Schema, err error) {
	if *list[0].KeyType != "HASH" {
		return s, invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
	}
	if len(list) > 1 {
		if *list[1].KeyType != "RANGE" {
			return s, invalid("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
		}
		if *list[0].AttributeName == *list[1].AttributeName {
			return s, invalid("Both the Hash Key and the Range Key element in the KeySchema have the same name")
		}
	}
	var names []string
	missing := false
	for i, e := range list {
		name := *e.AttributeName
		names = append(names, name)
		k := table.Key{Name: name, Type: t[name]}
		missing = missing || k.Type == 0
		if i == 0 {
			s.Hash = k
		} else {
			s.Range = k
		}
	}
	if missing {
		return s, invalid(parameters+"Some %s attributes are not defined in AttributeDefinitions. Keys: [%s], AttributeDefinitions: [%s]",
			of, strings.Join(names, ", "), strings.Join(slices.Sorted(maps.Keys(t)), ", "))
	}
	return s, nil
}

// used refuses attributes that are defined and part of no key.
func (t types) used(d *table.Definition) error {
	var names []string
	for _, k := range d.Attributes() {
		if !slices.Contains(names, k.Name) {
			names = append(names, k.Name)
		}
	}
	if len(names) == len(t) {
		return nil
	}
	if len(d.Indexes) == 0 {
		return invalid(parameters + "Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions")
	}
	return invalid(parameters+"Some AttributeDefinitions are not used. AttributeDefinitions: [%s], keys used: [%s]",
		strings.Join(slices.Sorted(maps.Keys(t)), ", "), strings.Join(names, ", "))
}

// add adds an index to a definition.
func (x *localIndex) add(d *table.Definition, t types, local bool) (*table.Index, error) {
	name := *x.IndexName
	if d.Index(name) != nil {
		return nil, invalid(parameters+"Duplicate index name: %s", name)
	}
	keys, err := schema(x.KeySchema, t, "index key")
	if err != nil {
		return nil, err
	}
	if local {
		switch {
		case keys.Range.Name == "":
			return nil, invalid(parameters+"Index KeySchema does not have a range key for index: %s", name)
		case d.Keys.Range.Name == "":
			return nil, invalid(parameters + "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex")
		case keys.Hash.Name != d.Keys.Hash.Name:
			return nil, invalid(parameters+"Index KeySchema does not have the same leading hash key as table KeySchema for index: %s. index hash key: %s, table hash key: %s",
				name, keys.Hash.Name, d.Keys.Hash.Name)
		}
	}
	kind := text(x.Projection.ProjectionType)
	switch nonKey := x.Projection.NonKeyAttributes; {
	case kind == "":
		return nil, invalid(parameters + "Unknown ProjectionType: null")
	case kind == table.ProjectInclude && nonKey == nil:
		return nil, invalid(parameters + "ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
	case kind != table.ProjectInclude && nonKey != nil:
		return nil, invalid(parameters+"ProjectionType is %s, but NonKeyAttributes is specified", kind)
	}
	for i, n := range x.Projection.NonKeyAttributes {
		if slices.Contains(x.Projection.NonKeyAttributes[:i], n) {
			return nil, invalid(parameters+"Duplicate value in NonKeyAttributes: %s", n)
		}
	}
	d.Indexes = append(d.Indexes, table.Index{Name: name, Local: local, Keys: keys, Projection: kind, NonKey: x.Projection.NonKeyAttributes})
	return &d.Indexes[len(d.Indexes)-1], nil
}

func (x *globalIndex) add(d *table.Definition, t types) error {
	if err := unbuilt(x.OnDemandThroughput, x.WarmThroughput); err != nil {
		return err
	}
	in, err := x.localIndex.add(d, t, false)
	if err != nil {
		return err
	}
	in.Throughput, err = throughput(x.ProvisionedThroughput, d.OnDemand, "index: "+in.Name)
	return err
}

// counts holds a definition against AWS's quotas.
func counts(d *table.Definition) error {
	global, local, nonKey := 0, 0, 0
	for _, x := range d.Indexes {
		nonKey += len(x.NonKey)
		if x.Local {
			local++
		} else {
			global++
		}
	}
	switch {
	case global > maxGlobal:
		return invalid(parameters+"GlobalSecondaryIndex count exceeds the per-table limit of %d", maxGlobal)
	case local > maxLocal:
		return invalid(parameters+"Number of LocalSecondaryIndexes exceeds per-table limit of %d", maxLocal)
	case nonKey > maxNonKey:
		return invalid(parameters+"Number of projected attributes exceeds the per-table limit of %d", maxNonKey)
	}
	return nil
}

// throughput reads what a table or an index of it is provisioned with.
func throughput(p *throughputShape, onDemand bool, of string) (t table.Throughput, err error) {
	switch {
	case onDemand && p != nil:
		return t, invalid(parameters + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST")
	case onDemand:
		return t, nil
	case p == nil && of != "":
		return t, invalid(parameters+"ProvisionedThroughput must be specified for %s", of)
	case p == nil:
		return t, invalid(parameters + "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED")
	}
	return table.Throughput{Read: *p.ReadCapacityUnits, Write: *p.WriteCapacityUnits}, nil
}

// The options of tables that nothing stands behind.

type streamSpecification struct {
	StreamEnabled  *bool `aws:"required"`
	StreamViewType *string
}

type encryptionSpecification struct {
	Enabled        *bool
	SSEType        *string
	KMSMasterKeyId *string
}

// unbuilt refuses bounds on what a table on demand takes, and warm throughput.
// Bounds of -1 are none.
func unbuilt(most *onDemandThroughput, warm *warmThroughput) error {
	if warm != nil {
		return unsupported("WarmThroughput")
	}
	if most != nil {
		for _, n := range []*int64{most.MaxReadRequestUnits, most.MaxWriteRequestUnits} {
			if n != nil && *n != -1 {
				return unsupported(fmt.Sprintf("OnDemandThroughput (a bound of %d)", *n))
			}
		}
	}
	return nil
}

// tableOptions are those that CreateTable and UpdateTable have in common.
type tableOptions struct {
	BillingMode               *string `aws:"enum=PROVISIONED|PAY_PER_REQUEST"`
	ProvisionedThroughput     *throughputShape
	OnDemandThroughput        *onDemandThroughput
	WarmThroughput            *warmThroughput
	StreamSpecification       *streamSpecification
	SSESpecification          *encryptionSpecification
	TableClass                *string `aws:"enum=STANDARD|STANDARD_INFREQUENT_ACCESS"`
	DeletionProtectionEnabled *bool
}

func (o *tableOptions) check() error {
	if s := o.StreamSpecification; s != nil && yes(s.StreamEnabled) {
		return unsupported("StreamSpecification (DynamoDB Streams)")
	}
	if s := o.SSESpecification; s != nil && yes(s.Enabled) {
		return unsupported("SSESpecification (encryption with a key of KMS)")
	}
	return unbuilt(o.OnDemandThroughput, o.WarmThroughput)
}
