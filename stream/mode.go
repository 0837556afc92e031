package stream

import (
	"context"

	"github.com/thalweg/thalweg/fault"
)

// maxWarmMiBps is AWS's bound of warm throughput: 10 GiB/s.
const maxWarmMiBps = 10240

// SetMode switches how a stream's capacity is managed, twice in 24 hours; its
// shards stay as they are. Switching to the mode that it has changes nothing
// and does not count. warm, which may be nil, is for a switch to OnDemand and
// as in SetWarm. An owner has at most 50 OnDemand streams. A stream that is no
// longer OnDemand goes by its records' keys again. Faults: NotFound, InUse (not
// ACTIVE), Invalid, Constraint, Limit.
func (s *Streams) SetMode(ctx context.Context, ref Ref, m Mode, warm *int) error {
	if m != Provisioned && m != OnDemand {
		return fault.New(fault.Invalid, "StreamMode %s is not one of PROVISIONED and ON_DEMAND.", m)
	}
	if warm != nil && m != OnDemand {
		return fault.New(fault.Constraint, "WarmThroughputMiBps is only supported when the stream mode is updated to ON_DEMAND.")
	}
	return s.resize(ctx, ref, func(v *view, d *streamDoc) error {
		if warm != nil {
			if err := s.checkWarm(ref, *warm); err != nil {
				return err
			}
			d.WarmMiBps = *warm
		}
		if d.Mode == m {
			return nil
		}
		if m == OnDemand {
			if err := s.roomOnDemand(ref.Owner); err != nil {
				return err
			}
		} else {
			d.Auto, d.WarmMiBps = false, 0
		}
		d.Mode = m
		var ok bool
		if d.Switched, ok = used(d.Switched, nowMilli(), dailySwitches); !ok {
			return usedUp(ref, "UpdateStreamMode", dailySwitches)
		}
		return nil
	})
}

// SetWarm sets the throughput in MiB/s that an OnDemand stream takes in at
// once: it gets a shard for each if it has fewer. Asking for less merges none.
// It returns what was asked for and what the open shards take. Faults:
// NotFound, InUse (not ACTIVE), Constraint (not OnDemand, or the account has
// no commitment), Limit.
func (s *Streams) SetWarm(ctx context.Context, ref Ref, mibps int) (target, current int, err error) {
	err = s.resize(ctx, ref, func(v *view, d *streamDoc) error {
		if d.Mode != OnDemand {
			return isProvisioned(ref)
		}
		d.WarmMiBps = mibps
		return s.checkWarm(ref, mibps)
	})
	if err != nil {
		return 0, 0, err
	}
	info, err := s.Describe(ref)
	if err != nil {
		return 0, 0, err
	}
	return mibps, info.OpenShards, nil
}

func (s *Streams) checkWarm(ref Ref, mibps int) error {
	if mibps < 0 || mibps > maxWarmMiBps {
		return fault.New(fault.Constraint, "WarmThroughputMiBps must be from 0 to %d.", maxWarmMiBps)
	}
	a, err := s.account(ref.Owner)
	if err != nil {
		return err
	}
	if !a.Committed {
		return fault.New(fault.Constraint, "Request is invalid. Warm throughput requires that MinimumThroughputBillingCommitment "+
			"is enabled for account %s.", ref.Account)
	}
	return nil
}

// SetAuto chooses how records are placed: spread over the shards whatever
// their keys (OnDemand streams only), or by their keys. It takes effect at
// once. Faults: NotFound, InUse (not ACTIVE), Invalid (not OnDemand).
func (s *Streams) SetAuto(ctx context.Context, ref Ref, auto bool) error {
	return s.change(ctx, ref, func(d *streamDoc) error {
		if d.Mode != OnDemand {
			return noStrategy(ref)
		}
		d.Auto = auto
		return nil
	})
}

// resize edits a stream's document and, when warm throughput then wants more
// shards than are open, begins and completes the reshard to them.
func (s *Streams) resize(ctx context.Context, ref Ref, edit func(*view, *streamDoc) error) error {
	for {
		_, v, err := s.open(ref)
		if err != nil {
			return err
		}
		if v.info.Status != Active {
			return notActive(ref, v.info.Status)
		}
		doc := v.doc
		if err := edit(v, &doc); err != nil {
			return err
		}
		n := max(len(v.routes), doc.WarmMiBps)
		if more := n - len(v.routes); more > 0 {
			if err := s.roomFor(ref.Owner, more, false); err != nil {
				return err
			}
		}
		var conflicted bool
		if n > len(v.routes) {
			conflicted, err = s.beginScale(ctx, v, doc, n)
		} else {
			conflicted, err = s.propose(ctx, put(streamKey(ref), v.version, doc))
		}
		if err != nil {
			return err
		}
		if !conflicted {
			return s.finish(ctx, ref)
		}
	}
}
