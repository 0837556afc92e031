package lambda

import (
	"strings"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/function/mapping"
	"github.com/thalweg/thalweg/gate"
)

// The shapes that operations on event source mappings share. Of the sources
// that AWS has there are streams and their consumers; the members for others
// are refused by name.

// mappingTarget is how a request names a mapping.
type mappingTarget struct {
	UUID *string `rest:"path" aws:"required"`
}

// mappingSettings are the members that CreateEventSourceMapping and
// UpdateEventSourceMapping share.
type mappingSettings struct {
	Enabled                        *bool
	BatchSize                      *int `aws:"min=1,max=10000"`
	FilterCriteria                 *filterCriteria
	MaximumBatchingWindowInSeconds *int `aws:"min=0,max=300"`
	ParallelizationFactor          *int `aws:"min=1,max=10"`
	DestinationConfig              *destinationConfig
	MaximumRecordAgeInSeconds      *int `aws:"min=-1,max=604800"`
	BisectBatchOnFunctionError     *bool
	MaximumRetryAttempts           *int     `aws:"min=-1,max=10000"`
	TumblingWindowInSeconds        *int     `aws:"min=0,max=900"`
	FunctionResponseTypes          []string `aws:"min=0,max=1" elem:"enum=ReportBatchItemFailures"`

	KMSKeyArn                           *string
	MetricsConfig                       *metricsConfig
	ProvisionedPollerConfig             *empty
	SourceAccessConfigurations          []empty
	ScalingConfig                       *empty
	DocumentDBEventSourceConfig         *empty
	AmazonManagedKafkaEventSourceConfig *empty
	SelfManagedKafkaEventSourceConfig   *empty
	SelfManagedEventSource              *empty
	Topics, Queues                      []string
}

type filterCriteria struct {
	Filters []filterShape
}

type filterShape struct {
	Pattern *string `aws:"min=0,max=4096"`
}

type destinationConfig struct {
	OnFailure *onFailure
	OnSuccess *onFailure
}

type onFailure struct {
	Destination *string `aws:"min=0,max=350"`
}

type metricsConfig struct {
	Metrics []string
}

// refuse names what is asked for and not there.
func (s *mappingSettings) refuse() error {
	switch {
	case text(s.KMSKeyArn) != "":
		return unsupported("KMSKeyArn")
	case s.ProvisionedPollerConfig != nil:
		return unsupported("ProvisionedPollerConfig")
	case len(s.SourceAccessConfigurations) > 0 || s.DocumentDBEventSourceConfig != nil || s.AmazonManagedKafkaEventSourceConfig != nil ||
		s.SelfManagedKafkaEventSourceConfig != nil || s.SelfManagedEventSource != nil || s.ScalingConfig != nil || len(s.Topics)+len(s.Queues) > 0:
		return invalid("thalweg's event source mappings have Kinesis streams as their sources: members for other sources are not taken.")
	case s.MetricsConfig != nil && len(s.MetricsConfig.Metrics) > 0:
		return invalid("thalweg counts the events of every mapping, in /metrics: MetricsConfig is not taken.")
	case s.DestinationConfig != nil && s.DestinationConfig.OnSuccess != nil && text(s.DestinationConfig.OnSuccess.Destination) != "":
		return invalid("Event source mappings of streams have no OnSuccess destination.")
	}
	return nil
}

// apply sets in m what is given.
func (s *mappingSettings) apply(m *mapping.Settings) {
	set(&m.Enabled, s.Enabled)
	set(&m.BatchSize, s.BatchSize)
	set(&m.Window, s.MaximumBatchingWindowInSeconds)
	set(&m.Parallel, s.ParallelizationFactor)
	set(&m.Age, s.MaximumRecordAgeInSeconds)
	set(&m.Bisect, s.BisectBatchOnFunctionError)
	set(&m.Retries, s.MaximumRetryAttempts)
	set(&m.Tumbling, s.TumblingWindowInSeconds)
	if s.FunctionResponseTypes != nil {
		m.Items = len(s.FunctionResponseTypes) > 0
	}
	if s.FilterCriteria != nil {
		m.Filters = nil
		for _, f := range s.FilterCriteria.Filters {
			m.Filters = append(m.Filters, text(f.Pattern))
		}
	}
	if s.DestinationConfig != nil {
		m.OnFailure = ""
		if s.DestinationConfig.OnFailure != nil {
			m.OnFailure = text(s.DestinationConfig.OnFailure.Destination)
		}
	}
}

// mappingShape is a mapping as answers have it. AWS leaves a filter out where
// there is none, and has an empty OnFailure where there is no destination.
type mappingShape struct {
	BatchSize                      int
	BisectBatchOnFunctionError     bool
	DestinationConfig              destinationConfig
	EventSourceArn                 string
	EventSourceMappingArn          string
	FilterCriteria                 *filterCriteria
	FunctionArn                    string
	FunctionResponseTypes          []string
	LastModified                   time.Time
	LastProcessingResult           string
	MaximumBatchingWindowInSeconds int
	MaximumRecordAgeInSeconds      int
	MaximumRetryAttempts           int
	ParallelizationFactor          int
	StartingPosition               string
	StartingPositionTimestamp      time.Time
	State                          string
	StateTransitionReason          string
	TumblingWindowInSeconds        int
	UUID                           string
}

func shapeMapping(m *mapping.Mapping) *mappingShape {
	s := &mappingShape{
		BatchSize: m.BatchSize, BisectBatchOnFunctionError: m.Bisect, DestinationConfig: destinationConfig{OnFailure: &onFailure{optional(m.OnFailure)}},
		EventSourceArn: m.Source, EventSourceMappingArn: m.ARN(), FunctionArn: m.Function, FunctionResponseTypes: []string{},
		LastModified: m.Modified, LastProcessingResult: m.LastResult,
		MaximumBatchingWindowInSeconds: m.Window, MaximumRecordAgeInSeconds: m.Age, MaximumRetryAttempts: m.Retries,
		ParallelizationFactor: m.Parallel, StartingPosition: string(m.Start.Type), StartingPositionTimestamp: m.Start.Time,
		State: string(m.Phase), StateTransitionReason: "User action", TumblingWindowInSeconds: m.Tumbling, UUID: m.UUID,
	}
	if m.Items {
		s.FunctionResponseTypes = []string{"ReportBatchItemFailures"}
	}
	if len(m.Filters) > 0 {
		s.FilterCriteria = new(filterCriteria)
		for i := range m.Filters {
			s.FilterCriteria.Filters = append(s.FilterCriteria.Filters, filterShape{&m.Filters[i]})
		}
	}
	return s
}

func ownerOf(c *gate.Call) mapping.Owner { return mapping.Owner{Account: c.Account, Region: c.Region} }

// mappedFunction is the ARN that a mapping keeps of what a request calls its
// function: with the qualifier, if it has one.
func (a *api) mappedFunction(c *gate.Call, name *string) (string, error) {
	if name == nil {
		return "", required("functionName")
	}
	ref, err := a.functions.Resolve(c.Account, c.Region, *name, "")
	if fault.Is(err, fault.NotFound) {
		return "", noFunction()
	}
	if err != nil {
		return "", err
	}
	return ref.ARN(), nil
}

func noFunction() error { return invalid("Function does not exist") }

// checkSource wants a source to be a stream or a consumer of the caller's.
func checkSource(c *gate.Call, arn *string) (string, error) {
	parts := strings.SplitN(text(arn), ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "kinesis" || !strings.HasPrefix(parts[5], "stream/") {
		return "", invalid("Unrecognized event source.")
	}
	if parts[3] != c.Region || parts[4] != c.Account {
		return "", invalid("The event source %s is of another account or region: thalweg maps streams to functions of the same.", *arn)
	}
	return *arn, nil
}
