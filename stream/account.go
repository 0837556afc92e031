package stream

import (
	"context"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
)

// maxOnDemand is how many OnDemand streams an owner may have, AWS's default.
const maxOnDemand = 50

// accountDoc is what an owner has settled for all its streams.
type accountDoc struct {
	Started int64 `json:"started,omitzero"` // Unix milliseconds of the latest commitment; 0: never
	Ends    int64 `json:"ends,omitzero"`    // when it ended or is going to; 0: not asked for
}

// Account is the settings of an owner at one instant. Zero times never were.
type Account struct {
	Committed bool      // MinimumThroughputBillingCommitment is enabled
	Started   time.Time // of the latest commitment
	Ends      time.Time // when it ended, or, while Committed, is going to
	Earliest  time.Time // when it could be ended at the earliest
}

// commitment is how long a commitment lasts at least.
const commitment = day

// Usage is how much of its quotas an owner uses.
type Usage struct{ OpenShards, ShardLimit, OnDemandStreams, OnDemandLimit int }

func accountKey(o Owner) catalog.Key {
	return catalog.Key{Kind: kindAccount, Name: o.Account + "/" + o.Region}
}

// Account returns the settings of an owner.
func (s *Streams) Account(o Owner) (Account, error) { return s.account(o) }

func (s *Streams) account(o Owner) (Account, error) {
	a, _, err := s.accountDoc(o)
	return a.at(nowMilli()), err
}

func (s *Streams) accountDoc(o Owner) (a accountDoc, version uint64, err error) {
	d, ok := s.catalog.View().Get(accountKey(o))
	if !ok {
		return a, catalog.Absent, nil
	}
	a, err = decode[accountDoc](d)
	return a, d.Version, err
}

// at is the settings at now, in Unix milliseconds.
func (a accountDoc) at(now int64) Account {
	if a.Started == 0 {
		return Account{}
	}
	out := Account{
		Committed: a.Ends == 0 || now < a.Ends,
		Started:   time.UnixMilli(a.Started).UTC(),
		Earliest:  time.UnixMilli(a.Started).Add(commitment).UTC(),
	}
	if a.Ends != 0 {
		out.Ends = time.UnixMilli(a.Ends).UTC()
	}
	return out
}

// Commit enables or ends an owner's commitment. It lasts at least 24 hours:
// ended before, it goes on until then by itself, and enabling it again until
// then makes as if the end had not been asked for. Asking for what is so
// changes nothing.
func (s *Streams) Commit(ctx context.Context, o Owner, on bool) (Account, error) {
	for {
		a, version, err := s.accountDoc(o)
		if err != nil {
			return Account{}, err
		}
		now := nowMilli()
		next, was := a, a.at(now)
		switch {
		case on && was.Committed:
			next.Ends = 0
		case on:
			next = accountDoc{Started: now}
		case was.Committed && a.Ends == 0:
			next.Ends = max(now, was.Earliest.UnixMilli())
		}
		if next == a {
			return was, nil
		}
		conflicted, err := s.propose(ctx, put(accountKey(o), version, next))
		if err != nil {
			return Account{}, err
		}
		if !conflicted {
			return next.at(now), nil
		}
	}
}

// Usage counts what an owner has.
func (s *Streams) Usage(o Owner) Usage {
	u := Usage{ShardLimit: maxShards, OnDemandLimit: maxOnDemand}
	for d := range s.catalog.View().Range(kindStream, o.prefix()) {
		// A stream deleted meanwhile does not count.
		if _, v, err := s.open(Ref{o, d.Key.Name[len(o.prefix()):]}); err == nil {
			u.OpenShards += v.info.OpenShards
			if v.info.Mode == OnDemand {
				u.OnDemandStreams++
			}
		}
	}
	return u
}

// roomOnDemand checks the quota for one more OnDemand stream.
func (s *Streams) roomOnDemand(o Owner) error {
	if u := s.Usage(o); u.OnDemandStreams >= u.OnDemandLimit {
		return fault.New(fault.Limit, "This request would exceed the limit of %d streams in On-Demand mode for the account %s in %s.",
			u.OnDemandLimit, o.Account, o.Region)
	}
	return nil
}
