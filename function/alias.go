package function

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/thalweg/thalweg/fault"
)

// Publish makes a version of $LATEST. As with AWS nothing is published when
// $LATEST is as it was when the last version was: that version is the answer.
// sha256, in hexadecimal, and revision are "" or what $LATEST must have;
// description is nil to take $LATEST's.
func (f *Functions) Publish(ctx context.Context, n Name, sha256, revision string, description *string, now time.Time) (d *Function, made *Version, err error) {
	d, err = f.change(ctx, n, func(e *entry, d *Function, c *define) error {
		switch {
		case revision != "" && revision != d.Latest.Revision:
			return errRevision()
		case sha256 != "" && sha256 != d.Latest.Code.SHA256:
			return invalid("CodeSHA256 (%s) is different from current CodeSHA256 in $LATEST (%s). Please try again with the CodeSHA256 in $LATEST.", sha256, d.Latest.Code.SHA256)
		}
		if last := e.versions[d.Published]; last != nil && last.same(&d.Latest) {
			made = last
			return nil
		}
		made = d.publish(c, true, now)
		if description != nil {
			made.Description = *description
			c.versions[len(c.versions)-1].document = encode(made)
		}
		return nil
	})
	return d, made, err
}

// same reports whether two versions run the same code in the same way.
func (v *Version) same(o *Version) bool {
	a, b := *v, *o
	for _, x := range []*Version{&a, &b} {
		x.Number, x.Revision, x.Modified, x.Description = 0, "", time.Time{}, ""
	}
	return encode(&a) == encode(&b)
}

// PutAlias makes an alias, or with have changes one: what change makes of it.
// revision is "" or what it must have.
func (f *Functions) PutAlias(ctx context.Context, n Name, name, revision string, have bool, change func(*Alias) error) (Alias, error) {
	var made Alias
	_, err := f.change(ctx, n, func(e *entry, d *Function, _ *define) error {
		a, there := d.Aliases[name]
		switch {
		case there && !have:
			return fault.New(fault.InUse, "Alias already exists: %s", Ref{n, name}.ARN())
		case !there && have:
			return fault.New(fault.NotFound, "Cannot find alias arn: %s", Ref{n, name}.ARN())
		case have && revision != "" && revision != a.Revision:
			return errRevision()
		}
		if err := change(&a); err != nil {
			return err
		}
		for _, number := range []int{a.Version, a.Other} {
			if number != 0 && e.versions[number] == nil {
				return notFound(Ref{n, strconv.Itoa(number)})
			}
		}
		switch {
		case a.Other != 0 && a.Version == 0:
			return invalid("$LATEST is not supported for an alias pointing to more than 1 version")
		case a.Other != 0 && a.Other == a.Version:
			return invalid("Invalid function version %d. Function version %[1]d is already included in routing configuration.", a.Other)
		}
		a.Revision = newID()
		if d.Aliases == nil {
			d.Aliases = map[string]Alias{}
		}
		d.Aliases[name], made = a, a
		return nil
	})
	return made, err
}

// CheckAlias says what is wrong with the name of an alias.
func CheckAlias(name string) error {
	if !qualifierPattern.MatchString(name) || strings.Contains(name, "$") || strings.Trim(name, "0123456789") == "" {
		return fault.New(fault.Constraint, "1 validation error detected: Value '%.200s' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)", name)
	}
	return nil
}

// DeleteAlias deletes an alias; there need not be one.
func (f *Functions) DeleteAlias(ctx context.Context, n Name, name string) error {
	_, err := f.change(ctx, n, func(_ *entry, d *Function, _ *define) error {
		delete(d.Aliases, name)
		delete(d.Async, name)
		delete(d.Policies, name)
		return nil
	})
	return err
}

// Aliases returns the names of a function's aliases, in order, from the first
// that is greater than after. version is nil for those of all versions.
func (d *Function) AliasNames(after string, version *int) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(d.Aliases)) {
		if a := d.Aliases[name]; name > after && (version == nil || a.Version == *version || a.Other != 0 && a.Other == *version) {
			names = append(names, name)
		}
	}
	return names
}

// Tag sets and removes tags.
func (f *Functions) Tag(ctx context.Context, n Name, set map[string]string, remove []string) error {
	_, err := f.change(ctx, n, func(_ *entry, d *Function, _ *define) error {
		if d.Tags == nil {
			d.Tags = map[string]string{}
		}
		maps.Copy(d.Tags, set)
		for _, k := range remove {
			delete(d.Tags, k)
		}
		if len(d.Tags) > 50 {
			return invalid("The maximum number of tags that a function can have is 50.")
		}
		return nil
	})
	return err
}

// maxPolicy bounds a policy ("Lambda quotas": 20 KB).
const maxPolicy = 20 << 10

// Permit adds a statement to a policy: JSON with this id. revision is "" or
// what the policy must have.
func (f *Functions) Permit(ctx context.Context, r Ref, s Statement, revision string) error {
	_, err := f.change(ctx, r.Name, func(e *entry, d *Function, _ *define) error {
		if e.find(r.Qualifier, 1) == nil {
			return notFound(r)
		}
		p := d.Policies[r.Qualifier]
		if revision != "" && revision != p.Revision {
			return errRevision()
		}
		for _, old := range p.Statements {
			if old.ID == s.ID {
				return fault.New(fault.InUse, "The statement id (%s) provided already exists. Please provide a new statement id, or remove the existing statement.", s.ID)
			}
		}
		p.Statements = append(p.Statements, s)
		if p.Revision = newID(); len(p.Document()) > maxPolicy {
			return fault.Coded(fault.Limit, "PolicyLengthExceededException", "The final policy size (%d) is bigger than the limit (%d).", len(p.Document()), maxPolicy)
		}
		if d.Policies == nil {
			d.Policies = map[string]Policy{}
		}
		d.Policies[r.Qualifier] = p
		return nil
	})
	return err
}

// Forbid removes a statement from a policy.
func (f *Functions) Forbid(ctx context.Context, r Ref, id, revision string) error {
	_, err := f.change(ctx, r.Name, func(_ *entry, d *Function, _ *define) error {
		p := d.Policies[r.Qualifier]
		if revision != "" && revision != p.Revision {
			return errRevision()
		}
		i := slices.IndexFunc(p.Statements, func(s Statement) bool { return s.ID == id })
		if i < 0 {
			return fault.New(fault.NotFound, "Statement %s is not found in resource policy.", id)
		}
		if p.Statements = slices.Delete(p.Statements, i, i+1); len(p.Statements) == 0 {
			delete(d.Policies, r.Qualifier)
			return nil
		}
		p.Revision = newID()
		d.Policies[r.Qualifier] = p
		return nil
	})
	return err
}

// Document is the policy as AWS's JSON.
func (p *Policy) Document() string {
	var statements []json.RawMessage
	for _, s := range p.Statements {
		statements = append(statements, json.RawMessage(s.JSON))
	}
	b, err := json.Marshal(struct {
		Version   string
		Id        string
		Statement []json.RawMessage
	}{"2012-10-17", "default", statements})
	if err != nil {
		panic(err) // statements are JSON
	}
	return string(b)
}
