package dynamodb

import (
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/thalweg/thalweg/table"
	"github.com/thalweg/thalweg/table/attr"
)

// What answers tell about tables.

type attributeDefinition struct {
	AttributeName *string `aws:"required,min=1,max=255"`
	AttributeType *string `aws:"required,enum=B|N|S"`
}

type keyElement struct {
	AttributeName *string `aws:"required,min=1,max=255"`
	KeyType       *string `aws:"required,enum=HASH|RANGE"`
}

type projectionShape struct {
	ProjectionType   *string  `aws:"enum=ALL|INCLUDE|KEYS_ONLY"`
	NonKeyAttributes []string `aws:"min=1,max=100" elem:"min=1,max=255"`
}

type throughputDescription struct {
	LastIncreaseDateTime   *time.Time
	LastDecreaseDateTime   *time.Time
	NumberOfDecreasesToday int
	ReadCapacityUnits      int64
	WriteCapacityUnits     int64
}

type billingSummary struct {
	BillingMode                       string
	LastUpdateToPayPerRequestDateTime *time.Time
}

type localIndexDescription struct {
	IndexName      string
	IndexArn       string
	KeySchema      []keyElement
	Projection     projectionShape
	IndexSizeBytes int64
	ItemCount      int64
}

type globalIndexDescription struct {
	IndexName             string
	IndexArn              string
	IndexStatus           string
	Backfilling           *bool
	KeySchema             []keyElement
	Projection            projectionShape
	ProvisionedThroughput throughputDescription
	IndexSizeBytes        int64
	ItemCount             int64
}

type classSummary struct{ TableClass string }

type tableDescription struct {
	TableName                 string
	TableArn                  string
	TableId                   string
	TableStatus               string
	CreationDateTime          time.Time
	AttributeDefinitions      []attributeDefinition
	KeySchema                 []keyElement
	BillingModeSummary        *billingSummary
	ProvisionedThroughput     throughputDescription
	LocalSecondaryIndexes     []localIndexDescription
	GlobalSecondaryIndexes    []globalIndexDescription
	TableSizeBytes            int64
	ItemCount                 int64
	DeletionProtectionEnabled bool
	TableClassSummary         *classSummary
}

// describe makes a table's description. A table is UPDATING while an index of
// it takes in the items that were there before.
func describe(i *table.Info) tableDescription {
	d := tableDescription{
		TableName: i.Name.Table, TableArn: arn(i.Name), TableId: i.Def.ID, TableStatus: "ACTIVE",
		CreationDateTime:      time.UnixMilli(i.Def.Created),
		KeySchema:             keySchema(i.Def.Keys),
		ProvisionedThroughput: throughputDescription{ReadCapacityUnits: i.Def.Throughput.Read, WriteCapacityUnits: i.Def.Throughput.Write},
		TableSizeBytes:        i.Bytes, ItemCount: int64(i.Items),
		DeletionProtectionEnabled: i.Def.Protected,
	}
	for _, k := range i.Def.Attributes() {
		name, kind := k.Name, k.Type.String()
		d.AttributeDefinitions = append(d.AttributeDefinitions, attributeDefinition{&name, &kind})
	}
	if i.Def.OnDemand {
		billed := time.UnixMilli(i.Def.Billed)
		d.BillingModeSummary = &billingSummary{"PAY_PER_REQUEST", &billed}
	}
	if i.Def.Class != "" {
		d.TableClassSummary = &classSummary{i.Def.Class}
	}
	for _, x := range i.Def.Indexes {
		projection := projectionShape{&x.Projection, x.NonKey}
		is := i.Indexes[x.Name]
		if x.Local {
			d.LocalSecondaryIndexes = append(d.LocalSecondaryIndexes, localIndexDescription{
				x.Name, d.TableArn + "/index/" + x.Name, keySchema(x.Keys), projection, is.Bytes, int64(is.Items),
			})
			continue
		}
		g := globalIndexDescription{
			IndexName: x.Name, IndexArn: d.TableArn + "/index/" + x.Name, IndexStatus: "ACTIVE",
			KeySchema: keySchema(x.Keys), Projection: projection, IndexSizeBytes: is.Bytes, ItemCount: int64(is.Items),
			ProvisionedThroughput: throughputDescription{ReadCapacityUnits: x.Throughput.Read, WriteCapacityUnits: x.Throughput.Write},
		}
		if !is.Ready {
			filling := true
			g.IndexStatus, g.Backfilling, d.TableStatus = "CREATING", &filling, "UPDATING"
		}
		d.GlobalSecondaryIndexes = append(d.GlobalSecondaryIndexes, g)
	}
	return d
}

func keySchema(s table.Schema) []keyElement {
	var list []keyElement
	for i, k := range s.List() {
		name, kind := k.Name, "HASH"
		if i > 0 {
			kind = "RANGE"
		}
		list = append(list, keyElement{&name, &kind})
	}
	return list
}

type tag struct {
	Key   *string `aws:"required,min=1,max=128"`
	Value *string `aws:"required,max=256"`
}

const maxTags = 50

// addTags adds tags to those that a table has.
func addTags(have map[string]string, tags []tag) (map[string]string, error) {
	if have == nil {
		have = map[string]string{}
	}
	for _, t := range tags {
		for _, s := range []string{*t.Key, *t.Value} {
			if strings.ContainsFunc(s, func(r rune) bool {
				return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsNumber(r) && !unicode.IsSpace(r) && !strings.ContainsRune("+-=._:/@", r)
			}) {
				return nil, invalid(parameters+"Tag keys and values may contain only letters, white space, numbers and + - = . _ : / @: %s", s)
			}
		}
		have[*t.Key] = *t.Value
	}
	if len(have) > maxTags {
		return nil, invalid(parameters+"Too many tags: a table has at most %d", maxTags)
	}
	return have, nil
}

func shapeTags(tags map[string]string) []tag {
	list := []tag{}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		v := tags[k]
		list = append(list, tag{&k, &v})
	}
	return list
}

// types are the types of attributes by their names.
type types map[string]attr.Type

func typesOf(list []attributeDefinition) (types, error) {
	t := types{}
	for _, d := range list {
		if t[*d.AttributeName] != 0 {
			return nil, invalid(parameters+"Duplicate AttributeName in AttributeDefinitions: %s", *d.AttributeName)
		}
		t[*d.AttributeName], _ = attr.ParseType(*d.AttributeType)
	}
	return t, nil
}
