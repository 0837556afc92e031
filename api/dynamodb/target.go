package dynamodb

import (
	"strings"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
	"github.com/thalweg/thalweg/table"
)

// A table is named by its name or by its ARN.

// nameOf resolves what a request calls a table.
func nameOf(c *gate.Call, text string) (table.Name, error) {
	n := table.Name{Account: c.Account, Region: c.Region, Table: text}
	if !strings.HasPrefix(text, "arn:") {
		return n, checkName(text)
	}
	parts := strings.SplitN(text, ":", 6)
	if len(parts) != 6 || parts[2] != "dynamodb" || !strings.HasPrefix(parts[5], "table/") {
		return n, invalid("Invalid TableArn: Invalid ResourceArn provided as input %s", text)
	}
	if parts[4] != c.Account {
		return n, fault.Coded(fault.Denied, "AccessDeniedException", "The table %s belongs to another account.", text)
	}
	n.Region, n.Table = parts[3], parts[5][len("table/"):]
	return n, checkName(n.Table)
}

// checkName holds a name against AWS's rule for names.
func checkName(name string) error {
	if len(name) < 3 || len(name) > 255 {
		return invalid("Invalid table/index name.  Table/index names must be between 3 and 255 characters long, and may contain only the characters a-z, A-Z, 0-9, '_', '-', and '.'")
	}
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.') {
			return invalid("Invalid table/index name.  Table/index names must be between 3 and 255 characters long, and may contain only the characters a-z, A-Z, 0-9, '_', '-', and '.'")
		}
	}
	return nil
}

// arn is a table's ARN.
func arn(n table.Name) string {
	return "arn:aws:dynamodb:" + n.Region + ":" + n.Account + ":table/" + n.Table
}

// resource resolves the ARN of a table whose tags are meant.
func resource(c *gate.Call, text string) (table.Name, error) {
	if !strings.HasPrefix(text, "arn:") {
		return table.Name{}, invalid("Invalid TableArn: Invalid ResourceArn provided as input %s", text)
	}
	if strings.Contains(text, "/index/") {
		return table.Name{}, invalid(parameters+"Invalid resource arn provided, only table or stream is accepted. Provided resource arn: %s", text)
	}
	return nameOf(c, text)
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// nothing reports whether a member that says what to answer asks for nothing.
func nothing(s *string) bool { return s == nil || *s == "NONE" }

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func yes(b *bool) bool { return b != nil && *b }
