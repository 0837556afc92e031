package lambda

import (
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/function"
)

// eventInvokeRequest is what requests say of events that fail.
type eventInvokeRequest struct {
	qualified
	MaximumRetryAttempts     *int `aws:"min=0,max=2"`
	MaximumEventAgeInSeconds *int `aws:"min=60,max=21600"`
	DestinationConfig        *destinations
}

type destinations struct{ OnSuccess, OnFailure *destination }

type destination struct {
	Destination *string `aws:"max=350"`
}

// eventInvokeAnswer is Lambda's FunctionEventInvokeConfig.
type eventInvokeAnswer struct {
	LastModified             time.Time
	FunctionArn              string
	MaximumRetryAttempts     *int
	MaximumEventAgeInSeconds *int
	DestinationConfig        destinationsAnswer
}

type destinationsAnswer struct{ OnSuccess, OnFailure destination }

func describeAsync(ref function.Ref, x function.Async) *eventInvokeAnswer {
	if ref.Qualifier == "" {
		ref.Qualifier = function.Latest
	}
	return &eventInvokeAnswer{
		LastModified: x.Modified, FunctionArn: ref.ARN(), MaximumRetryAttempts: x.Retries, MaximumEventAgeInSeconds: x.MaxAge,
		DestinationConfig: destinationsAnswer{destination{optional(x.OnSuccess)}, destination{optional(x.OnFailure)}},
	}
}

// apply sets in x what is given.
func (in *eventInvokeRequest) apply(x *function.Async, now time.Time) {
	if in.MaximumRetryAttempts != nil {
		x.Retries = in.MaximumRetryAttempts
	}
	if in.MaximumEventAgeInSeconds != nil {
		x.MaxAge = in.MaximumEventAgeInSeconds
	}
	if d := in.DestinationConfig; d != nil {
		if d.OnSuccess != nil {
			x.OnSuccess = text(d.OnSuccess.Destination)
		}
		if d.OnFailure != nil {
			x.OnFailure = text(d.OnFailure.Destination)
		}
	}
	x.Modified = now.UTC().Truncate(time.Millisecond)
}

// async returns a function's settings for events, and those of the qualifier.
func (a *api) async(ref function.Ref) (function.Async, error) {
	d, _, err := a.functions.Get(ref)
	if err != nil {
		return function.Async{}, err
	}
	qualifier := ref.Qualifier
	if qualifier == "" {
		qualifier = function.Latest
	}
	x, ok := d.Async[qualifier]
	if !ok {
		return x, fault.New(fault.NotFound, "The function %s doesn't have an EventInvokeConfig", function.Ref{Name: ref.Name, Qualifier: qualifier}.ARN())
	}
	return x, nil
}
