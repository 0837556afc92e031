package lambda

import (
	"strconv"

	"github.com/thalweg/thalweg/function"
)

// aliasTarget is how a request names an alias.
type aliasTarget struct {
	target
	Name *string `rest:"path" aws:"required,min=1,max=128"`
}

// aliasAnswer is Lambda's AliasConfiguration.
type aliasAnswer struct {
	AliasArn        string
	Name            string
	FunctionVersion string
	Description     string
	RoutingConfig   *routing
	RevisionId      string
}

type routing struct {
	AdditionalVersionWeights map[string]float64
}

func describeAlias(n function.Name, name string, a function.Alias) *aliasAnswer {
	out := &aliasAnswer{
		AliasArn: function.Ref{Name: n, Qualifier: name}.ARN(), Name: name, FunctionVersion: function.Latest,
		Description: a.Description, RevisionId: a.Revision,
	}
	if a.Version > 0 {
		out.FunctionVersion = strconv.Itoa(a.Version)
	}
	if a.Other > 0 {
		out.RoutingConfig = &routing{map[string]float64{strconv.Itoa(a.Other): a.Weight}}
	}
	return out
}

// number reads the version that an alias is to have: 0 for $LATEST.
func number(version string) (int, error) {
	if version == function.Latest {
		return 0, nil
	}
	n, err := strconv.Atoi(version)
	if err != nil || n < 1 {
		return 0, invalid("An alias leads to $LATEST or to a published version, not to %.100q.", version)
	}
	return n, nil
}

// set gives an alias what a request says of it.
func setAlias(to *function.Alias, version, description *string, r *routing) (err error) {
	if version != nil {
		if to.Version, err = number(*version); err != nil {
			return err
		}
	}
	set(&to.Description, description)
	if r == nil {
		return nil
	}
	to.Other, to.Weight = 0, 0
	if len(r.AdditionalVersionWeights) > 1 {
		return invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
	}
	for other, weight := range r.AdditionalVersionWeights {
		if to.Other, err = number(other); err != nil || to.Other == 0 {
			return invalid("The second version of an alias is a published one, not %.100q.", other)
		}
		if !(weight >= 0 && weight <= 1) {
			return invalid("The weight of version %s is not within 0.0 and 1.0.", other)
		}
		to.Weight = weight
	}
	return nil
}
