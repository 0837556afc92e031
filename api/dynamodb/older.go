package dynamodb

import (
	"maps"
	"slices"

	"github.com/thalweg/thalweg/table/attr"
	"github.com/thalweg/thalweg/table/expr"
)

// The parameters that expressions have replaced, which KCL 1 to 3 still send:
// Expected, AttributeUpdates, KeyConditions, QueryFilter and ScanFilter.

type expectedShape struct {
	Value              *value
	Exists             *bool
	ComparisonOperator *string `aws:"enum=IN|NULL|BETWEEN|LT|NOT_CONTAINS|EQ|GT|NOT_NULL|NE|LE|BEGINS_WITH|GE|CONTAINS"`
	AttributeValueList []value
}

type conditionShape struct {
	ComparisonOperator *string `aws:"required,enum=IN|NULL|BETWEEN|LT|NOT_CONTAINS|EQ|GT|NOT_NULL|NE|LE|BEGINS_WITH|GE|CONTAINS"`
	AttributeValueList []value
}

type attributeUpdate struct {
	Value  *value
	Action *string `aws:"enum=ADD|PUT|DELETE"`
}

func valuesOf(list []value) []attr.Value {
	var values []attr.Value
	for _, v := range list {
		if v.Value != nil {
			values = append(values, v.Value)
		}
	}
	return values
}

// expected compiles Expected; nil when there is none.
func expected(all map[string]expectedShape, operator *string) (*expr.Condition, error) {
	if err := checkOperator(operator, len(all), all != nil, "Expected"); err != nil {
		return nil, err
	}
	var list []expr.Older
	for _, name := range slices.Sorted(maps.Keys(all)) {
		e := all[name]
		o := expr.Older{Name: name, Op: text(e.ComparisonOperator), Values: valuesOf(e.AttributeValueList)}
		switch {
		case e.ComparisonOperator != nil && e.Exists != nil:
			return nil, invalid(parameters+"Exists and ComparisonOperator cannot be used together for Attribute: %s", name)
		case e.Value != nil && e.AttributeValueList != nil:
			return nil, invalid(parameters+"Value and AttributeValueList cannot be used together for Attribute: %s", name)
		case e.ComparisonOperator == nil && e.AttributeValueList != nil:
			return nil, invalid(parameters+"AttributeValueList can only be used with a ComparisonOperator for Attribute: %s", name)
		case e.ComparisonOperator != nil:
			if e.Value != nil {
				o.Values = []attr.Value{e.Value.Value}
			}
		case e.Exists != nil && !*e.Exists:
			if e.Value != nil {
				return nil, invalid(parameters+"Value cannot be used when Exists is set to false for Attribute: %s", name)
			}
			o.Op = "NULL"
		case e.Value == nil && e.Exists != nil:
			return nil, invalid(parameters+"Value must be provided when Exists is true for Attribute: %s", name)
		case e.Value == nil:
			return nil, invalid(parameters+"Value must be provided when Exists is null for Attribute: %s", name)
		default:
			o.Op, o.Values = "EQ", []attr.Value{e.Value.Value}
		}
		list = append(list, o)
	}
	return older(list, operator)
}

// filter compiles ScanFilter or QueryFilter; nil when there is none.
func filter(member string, all map[string]conditionShape, operator *string) (*expr.Condition, error) {
	if err := checkOperator(operator, len(all), all != nil, member); err != nil {
		return nil, err
	}
	return older(olderList(all), operator)
}

func olderList(all map[string]conditionShape) []expr.Older {
	var list []expr.Older
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, expr.Older{Name: name, Op: text(all[name].ComparisonOperator), Values: valuesOf(all[name].AttributeValueList)})
	}
	return list
}

func checkOperator(operator *string, n int, there bool, member string) error {
	switch {
	case operator == nil || n > 1:
	case !there || n == 0:
		return invalid(parameters + "ConditionalOperator cannot be used without Filter or Expected")
	case *operator != "":
		return invalid(parameters + "ConditionalOperator can only be used when Filter or Expected has two or more elements")
	}
	return nil
}

func older(list []expr.Older, operator *string) (*expr.Condition, error) {
	if len(list) == 0 {
		return nil, nil
	}
	if err := checkOlder(list); err != nil {
		return nil, err
	}
	return expr.FromOlder(list, text(operator) == "OR"), nil
}

func checkOlder(list []expr.Older) error {
	for i := range list {
		if err := list[i].Check(); err != nil {
			return invalid("%s", err)
		}
	}
	return nil
}

// keyConditions compiles KeyConditions.
func keyConditions(all map[string]conditionShape) ([]expr.KeyTest, error) {
	list := olderList(all)
	if len(list) > 2 {
		return nil, invalid("Conditions can be of length 1 or 2 only")
	}
	if err := checkOlder(list); err != nil {
		return nil, err
	}
	tests, err := expr.KeyTests(list)
	if err != nil {
		return nil, invalid("%s", err)
	}
	return tests, nil
}

// attributeUpdates compiles AttributeUpdates; nil when there are none.
func attributeUpdates(all map[string]attributeUpdate) (*expr.Update, error) {
	if len(all) == 0 {
		return nil, nil
	}
	var list []expr.OlderUpdate
	for _, name := range slices.Sorted(maps.Keys(all)) {
		u := expr.OlderUpdate{Name: name, Action: text(all[name].Action)}
		if v := all[name].Value; v != nil {
			u.Value = v.Value
		}
		list = append(list, u)
	}
	u, err := expr.FromOlderUpdates(list)
	if err != nil {
		return nil, invalid("%s", err)
	}
	return u, nil
}
