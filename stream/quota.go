package stream

import (
	"slices"
	"time"

	"github.com/thalweg/thalweg/fault"
)

// AWS's quotas of one stream over any 24 hours.
const (
	dailyScalings = 10
	dailySwitches = 2
	day           = 24 * time.Hour
)

// used adds a use at now to those of the last 24 hours, all in Unix
// milliseconds, or tells that there have been most of them already. What
// counted before stays as it was.
func used(uses []int64, now int64, most int) (next []int64, ok bool) {
	next = slices.DeleteFunc(slices.Clone(uses), func(t int64) bool { return t <= now-day.Milliseconds() })
	if len(next) >= most {
		return uses, false
	}
	return append(next, now), true
}

func usedUp(r Ref, op string, most int) error {
	return fault.New(fault.Limit, "%s has been called %d times within 24 hours for stream %s under account %s, the most that is allowed.",
		op, most, r.Name, r.Account)
}
