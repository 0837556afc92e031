package lambda

import (
	"strconv"
	"unicode/utf8"

	"github.com/thalweg/thalweg/fault"
)

// pages is how requests page through lists.
type pages struct {
	Marker   *string `rest:"query"`
	MaxItems *string `rest:"query"`
}

// limit is how many items are wanted, at most most.
func (p *pages) limit(most int) (int, error) {
	if p.MaxItems == nil {
		return most, nil
	}
	n, err := strconv.Atoi(*p.MaxItems)
	if err != nil || n < 1 || n > 10_000 {
		return 0, fault.New(fault.Constraint, "1 validation error detected: Value '%.20s' at 'maxItems' failed to satisfy constraint: Member must have value between 1 and 10000", *p.MaxItems)
	}
	return min(n, most), nil
}

// required is a member that is missing.
func required(member string) error {
	return fault.New(fault.Constraint, "1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", member)
}

// checkTags holds tags against AWS's bounds: 50 of them, keys of 128 and values
// of 256 characters.
func checkTags(tags map[string]string) error {
	if len(tags) > 50 {
		return invalid("The maximum number of tags that a function can have is 50.")
	}
	for k, v := range tags {
		if n := utf8.RuneCountInString(k); n < 1 || n > 128 || utf8.RuneCountInString(v) > 256 {
			return invalid("A tag's key has 1 to 128 characters, its value at most 256.")
		}
	}
	return nil
}
