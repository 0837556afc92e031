// Package dynamodb is the DynamoDB_20120810 API: the shapes of its requests and
// answers, and one file per operation that turns them into calls on the room of
// tables and back. It hides AWS's wire names, how attribute values are written
// in JSON, the older parameters that expressions have replaced, and AWS's
// exceptions.
//
// It never decides what becomes of an item, keeps no state between calls, and
// never takes an option that nothing stands behind: what is missing is refused
// by name.
package dynamodb

import (
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/table"
)

// New returns the operations over t. Those that AWS has besides answer
// UnknownOperationException and name the feature that is missing.
func New(t *table.Tables) *gate.Service {
	a := &api{tables: t}
	return &gate.Service{
		Name:      "dynamodb",
		Target:    "DynamoDB_20120810",
		Ops:       a.operations(),
		Later:     later(),
		Exception: exception,
		JSON10:    true,
		Checksum:  true,
	}
}

// api is what all operations stand on.
type api struct {
	tables   *table.Tables
	programs programs
}

// operations is the table of all operations that are there. A test holds it
// against the files of this folder.
func (a *api) operations() []gate.Op {
	return []gate.Op{
		gate.Handle("BatchGetItem", a.batchGetItem),
		gate.Handle("BatchWriteItem", a.batchWriteItem),
		gate.Handle("CreateTable", a.createTable),
		gate.Handle("DeleteItem", a.deleteItem),
		gate.Handle("DeleteTable", a.deleteTable),
		gate.Handle("DescribeContinuousBackups", a.describeContinuousBackups),
		gate.Handle("DescribeLimits", a.describeLimits),
		gate.Handle("DescribeTable", a.describeTable),
		gate.Handle("DescribeTimeToLive", a.describeTimeToLive),
		a.getItemOp(),
		gate.Handle("ListTables", a.listTables),
		gate.Handle("ListTagsOfResource", a.listTagsOfResource),
		a.putItemOp(),
		gate.Handle("Query", a.query),
		gate.Handle("Scan", a.scan),
		gate.Handle("TagResource", a.tagResource),
		gate.Handle("TransactGetItems", a.transactGetItems),
		gate.Handle("TransactWriteItems", a.transactWriteItems),
		gate.Handle("UntagResource", a.untagResource),
		gate.Handle("UpdateContinuousBackups", a.updateContinuousBackups),
		a.updateItemOp(),
		gate.Handle("UpdateTable", a.updateTable),
		gate.Handle("UpdateTimeToLive", a.updateTimeToLive),
	}
}

// later names the operations that AWS has and we have not, by the feature that
// they belong to. Both lists together are AWS's model as of 2026-09.
func later() map[string]string {
	texts := map[string]string{}
	for feature, names := range map[string][]string{
		"PartiQL":                           {"BatchExecuteStatement", "ExecuteStatement", "ExecuteTransaction"},
		"backups and point-in-time restore": {"CreateBackup", "DeleteBackup", "DescribeBackup", "ListBackups", "RestoreTableFromBackup", "RestoreTableToPointInTime"},
		"global tables": {"CreateGlobalTable", "DescribeGlobalTable", "DescribeGlobalTableSettings", "ListGlobalTables",
			"UpdateGlobalTable", "UpdateGlobalTableSettings", "DescribeTableReplicaAutoScaling", "UpdateTableReplicaAutoScaling"},
		"export and import":              {"DescribeExport", "DescribeImport", "ExportTableToPointInTime", "ImportTable", "ListExports", "ListImports"},
		"streaming changes into Kinesis": {"DescribeKinesisStreamingDestination", "DisableKinesisStreamingDestination", "EnableKinesisStreamingDestination", "UpdateKinesisStreamingDestination"},
		"Contributor Insights":           {"DescribeContributorInsights", "ListContributorInsights", "UpdateContributorInsights"},
		"resource policies":              {"DeleteResourcePolicy", "GetResourcePolicy", "PutResourcePolicy"},
		"endpoint discovery":             {"DescribeEndpoints"},
	} {
		for _, name := range names {
			texts[name] = "thalweg's tables do not have " + feature + ", to which " + name + " belongs."
		}
	}
	return texts
}
