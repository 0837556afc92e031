package function

import (
	"regexp"
	"strings"

	"github.com/thalweg/thalweg/fault"
)

// Name names a function: of whose, where, and which.
type Name struct{ Account, Region, Function string }

// ARN is the function's, without a qualifier.
func (n Name) ARN() string {
	return "arn:aws:lambda:" + n.Region + ":" + n.Account + ":function:" + n.Function
}

// Latest is the qualifier of the version that can be changed.
const Latest = "$LATEST"

// Ref is a function and, unless it is "", a qualifier: $LATEST, a version's
// number or an alias's name.
type Ref struct {
	Name
	Qualifier string
}

// ARN is the function's, with the qualifier if there is one.
func (r Ref) ARN() string {
	if r.Qualifier == "" {
		return r.Name.ARN()
	}
	return r.Name.ARN() + ":" + r.Qualifier
}

var (
	namePattern      = regexp.MustCompile(`^[a-zA-Z0-9-_]{1,64}$`)
	qualifierPattern = regexp.MustCompile(`^(\$LATEST|[a-zA-Z0-9$_-]{1,128})$`)
)

// resolveRef reads what a request calls a function: its name, its ARN, or the
// part of the ARN from the account on, each with or without a qualifier, and
// the qualifier that is given apart.
func resolveRef(account, region, function, qualifier string) (Ref, error) {
	ref := Ref{Name{account, region, ""}, qualifier}
	rest := function
	if arn, ok := strings.CutPrefix(function, "arn:"); ok {
		parts := strings.SplitN(arn, ":", 6) // partition, lambda, region, account, function, name[:qualifier]
		if len(parts) != 6 || parts[1] != "lambda" || parts[4] != "function" {
			return ref, badName(function)
		}
		ref.Region, ref.Account, rest = parts[2], parts[3], parts[5]
	} else if parts := strings.SplitN(function, ":function:", 2); len(parts) == 2 {
		ref.Account, rest = parts[0], parts[1]
	}
	name, own, has := strings.Cut(rest, ":")
	ref.Function = name
	switch {
	case !namePattern.MatchString(name) || has && !qualifierPattern.MatchString(own) || qualifier != "" && !qualifierPattern.MatchString(qualifier):
		return ref, badName(function)
	case has && qualifier != "" && own != qualifier:
		return ref, invalid("The derived qualifier from the function name does not match the specified qualifier.")
	case has:
		ref.Qualifier = own
	}
	switch {
	case ref.Account != account:
		return ref, fault.Coded(fault.Denied, "AccessDeniedException", "User: arn:aws:iam::%s:root is not authorized to perform this on resource: %s because no resource-based policy allows it", account, ref.ARN())
	case ref.Region != region:
		return ref, notFound(ref)
	}
	return ref, nil
}

func badName(function string) error {
	return fault.New(fault.Constraint, "1 validation error detected: Value '%.200s' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: "+
		`(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}((-gov)|(-iso(b?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?`, function)
}

func notFound(r Ref) error { return fault.New(fault.NotFound, "Function not found: %s", r.ARN()) }

// invalid is a parameter that nothing makes right.
func invalid(format string, args ...any) error { return fault.New(fault.Invalid, format, args...) }
