package function

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/thalweg/thalweg/fault"
)

// Create makes a function of a configuration and an archive: its $LATEST. With
// publish the same becomes version 1.
func (f *Functions) Create(ctx context.Context, n Name, v Version, tags map[string]string, archive []byte, publish bool, now time.Time) (*Function, *Version, error) {
	if _, err := f.get(n); err == nil {
		return nil, nil, fault.New(fault.InUse, "Function already exist: %s", n.Function)
	}
	forget, err := f.setCode(&v, archive)
	if err != nil {
		return nil, nil, err
	}
	defer forget()
	v.touch(now)
	d := &Function{Name: n, Latest: v, Tags: tags}
	c := &define{name: n}
	made := d.publish(c, publish, now)
	if ok, err := f.put(ctx, c, d); err != nil || !ok {
		if err == nil {
			err = fault.New(fault.InUse, "Function already exist: %s", n.Function)
		}
		return nil, nil, err
	}
	return d, made, nil
}

// setCode stores an archive as the code of v, whose runtime must be able to
// run it.
func (f *Functions) setCode(v *Version, archive []byte) (forget func(), err error) {
	z, err := checkArchive(archive)
	if err != nil {
		return nil, err
	}
	if err := f.checkRuntime(v, z); err != nil {
		return nil, err
	}
	v.Code, forget, err = f.codes.store(archive)
	return forget, err
}

// publish adds what d's $LATEST is now to c as a version, if it is to, and
// returns the version that a caller is shown: the new one, or $LATEST.
func (d *Function) publish(c *define, really bool, now time.Time) *Version {
	if !really {
		return &d.Latest
	}
	d.Published++
	v := d.Latest
	v.Number = d.Published
	v.touch(now)
	c.versions = append(c.versions, versionChange{v.Number, encode(&v)})
	return &v
}

// touch marks a change.
func (v *Version) touch(now time.Time) {
	v.Modified, v.Revision = now.UTC().Truncate(time.Millisecond), newID()
}

// newID is a random UUID.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// encode is a document's JSON. Documents hold nothing that cannot be encoded.
func encode(v any) string {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	return string(b)
}

// put proposes a definition. It is false when somebody else was faster.
func (f *Functions) put(ctx context.Context, c *define, d *Function) (ok bool, err error) {
	if d != nil {
		c.document = encode(d)
	}
	got, err := ask[defined](ctx, f, c.append())
	return !got.conflict, err
}

// get returns a function's entry.
func (f *Functions) get(n Name) (*entry, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if e := f.byName[n]; e != nil {
		return e, nil
	}
	return nil, notFound(Ref{Name: n})
}

// Resolve reads what a request calls a function; see Invocation.Function.
func (f *Functions) Resolve(account, region, function, qualifier string) (Ref, error) {
	return resolveRef(account, region, function, qualifier)
}

// Get returns a function and the version that r means: $LATEST without a
// qualifier. Of an alias with two versions it is the first.
func (f *Functions) Get(r Ref) (*Function, *Version, error) {
	e, err := f.get(r.Name)
	if err != nil {
		return nil, nil, notFound(r)
	}
	v := e.find(r.Qualifier, 1)
	if v == nil {
		return nil, nil, notFound(r)
	}
	return e.def, v, nil
}

// Change changes a function by what change makes of a copy, and of the
// definition's command; it may be called several times, when others change the
// same function. The answer is the function as it was stored.
func (f *Functions) change(ctx context.Context, n Name, change func(e *entry, d *Function, c *define) error) (*Function, error) {
	for {
		e, err := f.get(n)
		if err != nil {
			return nil, err
		}
		d, c := e.def.clone(), &define{name: n, version: e.version}
		if err := change(e, d, c); err != nil {
			return nil, err
		}
		if ok, err := f.put(ctx, c, d); err != nil || ok {
			return d, err
		}
	}
}

// errRevision is the answer to a RevisionId that is not the current one.
func errRevision() error {
	return fault.Coded(fault.InUse, "PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id")
}

// UpdateCode replaces the code of $LATEST. revision, unless "", must be the
// current one; with publish the result becomes a version as well. architecture
// is "" to leave it as it is.
func (f *Functions) UpdateCode(ctx context.Context, n Name, archive []byte, architecture, revision string, publish bool, now time.Time) (*Function, *Version, error) {
	e, err := f.get(n)
	if err != nil {
		return nil, nil, err
	}
	v := e.def.Latest
	if architecture != "" {
		v.Architecture = architecture
	}
	forget, err := f.setCode(&v, archive)
	if err != nil {
		return nil, nil, err
	}
	defer forget()
	var made *Version
	d, err := f.change(ctx, n, func(_ *entry, d *Function, c *define) error {
		if revision != "" && revision != d.Latest.Revision {
			return errRevision()
		}
		d.Latest.Code, d.Latest.Architecture = v.Code, v.Architecture
		d.Latest.touch(now)
		made = d.publish(c, publish, now)
		return nil
	})
	f.retire(n)
	return d, made, err
}

// CheckCode says what UpdateCode would, and does nothing.
func (f *Functions) CheckCode(n Name, archive []byte) (*Function, *Version, error) {
	e, err := f.get(n)
	if err != nil {
		return nil, nil, err
	}
	z, err := checkArchive(archive)
	if err != nil {
		return nil, nil, err
	}
	return e.def, &e.def.Latest, f.checkRuntime(&e.def.Latest, z)
}

// Configure changes the configuration of $LATEST.
func (f *Functions) Configure(ctx context.Context, n Name, revision string, set func(*Version) error, now time.Time) (*Function, error) {
	d, err := f.change(ctx, n, func(_ *entry, d *Function, _ *define) error {
		if revision != "" && revision != d.Latest.Revision {
			return errRevision()
		}
		if err := set(&d.Latest); err != nil {
			return err
		}
		d.Latest.touch(now)
		return f.checkRuntime(&d.Latest, nil)
	})
	f.retire(n)
	return d, err
}

// Delete deletes a function, or one of its versions.
func (f *Functions) Delete(ctx context.Context, r Ref) error {
	if r.Qualifier == "" {
		for {
			e, err := f.get(r.Name)
			if err != nil {
				return err
			}
			ok, err := f.put(ctx, &define{name: r.Name, version: e.version}, nil)
			if err != nil {
				return err
			}
			if ok {
				f.retire(r.Name)
				if err := f.logs.drop(r.Name); err != nil {
					f.logger.Warn("the log of a function that is gone cannot be removed", "function", r.Name.ARN(), "err", err)
				}
				return nil
			}
		}
	}
	number, err := strconv.Atoi(r.Qualifier)
	if err != nil {
		if r.Qualifier == Latest {
			return invalid("$LATEST version cannot be deleted without deleting the function.")
		}
		return invalid("Deletion of aliases is not currently supported.")
	}
	_, err = f.change(ctx, r.Name, func(e *entry, d *Function, c *define) error {
		if e.versions[number] == nil {
			return notFound(r)
		}
		for name, a := range d.Aliases {
			if a.Version == number || a.Other == number {
				return fault.New(fault.InUse, "Version %d is referenced by alias %s, and cannot be deleted.", number, name)
			}
		}
		c.versions = append(c.versions, versionChange{number: number})
		return nil
	})
	f.retire(r.Name)
	return err
}

// List returns an owner's functions in the order of their names, from the first
// that is greater than after.
func (f *Functions) List(account, region, after string, limit int) (list []*Function, more bool) {
	f.mu.RLock()
	for n, e := range f.byName {
		if n.Account == account && n.Region == region && n.Function > after {
			list = append(list, e.def)
		}
	}
	f.mu.RUnlock()
	slices.SortFunc(list, func(a, b *Function) int { return a.Name.compare(b.Name) })
	if len(list) > limit {
		return list[:limit], true
	}
	return list, false
}

// Versions returns a function and its versions, $LATEST first and then the
// published ones by number, from the first whose number is greater than after;
// -1 for all.
func (f *Functions) Versions(n Name, after, limit int) (d *Function, list []*Version, more bool, err error) {
	e, err := f.get(n)
	if err != nil {
		return nil, nil, false, err
	}
	if after < 0 {
		list = append(list, &e.def.Latest)
	}
	for _, number := range slices.Sorted(maps.Keys(e.versions)) {
		if number > after {
			list = append(list, e.versions[number])
		}
	}
	if len(list) > limit {
		return e.def, list[:limit], true, nil
	}
	return e.def, list, false, nil
}

// Archive returns an archive that a function has as its code.
func (f *Functions) Archive(sha256 string) ([]byte, error) { return f.codes.read(sha256) }

// Reserve sets how much of its account's concurrency a function has to itself,
// and at most; nil gives it back.
func (f *Functions) Reserve(ctx context.Context, n Name, reserved *int) error {
	_, err := f.change(ctx, n, func(_ *entry, d *Function, _ *define) error {
		d.Reserved = reserved
		return nil
	})
	return err
}

// SetAsync says what becomes of a function's or an alias's events; nil goes
// back to the defaults. A qualifier of "" is $LATEST.
func (f *Functions) SetAsync(ctx context.Context, r Ref, a *Async) error {
	if r.Qualifier == "" {
		r.Qualifier = Latest
	}
	if a != nil {
		for _, arn := range []string{a.OnSuccess, a.OnFailure} {
			if err := f.CheckDestination(arn); arn != "" && err != nil {
				return err
			}
		}
	}
	_, err := f.change(ctx, r.Name, func(e *entry, d *Function, _ *define) error {
		if e.find(r.Qualifier, 1) == nil {
			return notFound(r)
		}
		if a == nil {
			if _, ok := d.Async[r.Qualifier]; !ok {
				return fault.New(fault.NotFound, "The function %s doesn't have an EventInvokeConfig", r.ARN())
			}
			delete(d.Async, r.Qualifier)
			return nil
		}
		if d.Async == nil {
			d.Async = map[string]Async{}
		}
		d.Async[r.Qualifier] = *a
		return nil
	})
	return err
}

// Usage is what an account has in a region.
type Usage struct {
	Functions   int
	CodeBytes   int64 // of the archives of all versions
	Concurrency int   // that may be under way at once
	Reserved    int   // of it
}

// Usage counts an account's functions.
func (f *Functions) Usage(account, region string) Usage {
	f.mu.RLock()
	defer f.mu.RUnlock()
	u := Usage{Concurrency: f.meter.limit, Reserved: f.reserved[owner{account, region}]}
	for n, e := range f.byName {
		if n.Account != account || n.Region != region {
			continue
		}
		u.Functions++
		u.CodeBytes += e.def.Latest.Code.Size
		for _, v := range e.versions {
			u.CodeBytes += v.Code.Size
		}
	}
	return u
}
