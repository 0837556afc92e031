package function

// owner is whose concurrency is counted together.
type owner struct{ account, region string }

// meter counts the invocations that are under way. Its owner locks it.
type meter struct {
	limit    int // of an owner
	of       map[Name]int
	unshared map[owner]int // of functions without a reservation
}

func newMeter(limit int) meter { return meter{limit, map[Name]int{}, map[owner]int{}} }

// begin counts one more, unless it would be too many: then it says which limit
// is reached, in the words of AWS's Reason. others is how much of the owner's
// concurrency is reserved.
func (m *meter) begin(n Name, reserved *int, others int) (reason string) {
	own := owner{n.Account, n.Region}
	switch {
	case reserved != nil && m.of[n] >= *reserved:
		return "ReservedFunctionConcurrentInvocationLimitExceeded"
	case reserved == nil && m.unshared[own] >= m.limit-others:
		return "ConcurrentInvocationLimitExceeded"
	}
	m.of[n]++
	if reserved == nil {
		m.unshared[own]++
	}
	return ""
}

// end is for a call that began with the same reservation.
func (m *meter) end(n Name, reserved *int) {
	if m.of[n]--; m.of[n] == 0 {
		delete(m.of, n)
	}
	if own := (owner{n.Account, n.Region}); reserved == nil {
		if m.unshared[own]--; m.unshared[own] == 0 {
			delete(m.unshared, own)
		}
	}
}
