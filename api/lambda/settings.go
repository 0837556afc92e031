package lambda

import (
	"time"

	"github.com/thalweg/thalweg/function"
)

// settings are the members that CreateFunction and UpdateFunctionConfiguration
// share.
type settings struct {
	Runtime           *string
	Role              *string `aws:"pattern=arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+"`
	Handler           *string `aws:"max=128,pattern=[^\\s]+"`
	Description       *string `aws:"max=256"`
	Timeout           *int    `aws:"min=1"`
	MemorySize        *int    `aws:"min=128,max=32768"`
	Environment       *environmentRequest
	VpcConfig         *vpc
	DeadLetterConfig  *deadLetter
	KMSKeyArn         *string
	TracingConfig     *tracingRequest
	Layers            []string
	FileSystemConfigs []empty
	ImageConfig       *empty
	EphemeralStorage  *ephemeralRequest
	SnapStart         *snapStartRequest
	LoggingConfig     *loggingRequest
}

type empty struct{}

type environmentRequest struct{ Variables map[string]string }

type vpc struct{ SubnetIds, SecurityGroupIds []string }

type deadLetter struct{ TargetArn *string }

type tracingRequest struct {
	Mode *string `aws:"enum=Active|PassThrough"`
}

type ephemeralRequest struct {
	Size *int `aws:"min=512,max=10240"`
}

type snapStartRequest struct {
	ApplyOn *string `aws:"enum=PublishedVersions|None"`
}

type loggingRequest struct {
	LogFormat           *string `aws:"enum=JSON|Text"`
	LogGroup            *string `aws:"min=1,max=512,pattern=[\\.\\-_/#A-Za-z0-9]+"`
	ApplicationLogLevel *string
	SystemLogLevel      *string
}

// maxTimeout is the longest a function may run ("Lambda quotas": 900 seconds).
const maxTimeout = 900

// apply sets in v what is given.
func (s *settings) apply(v *function.Version) error {
	if err := s.refuse(); err != nil {
		return err
	}
	set(&v.Runtime, s.Runtime)
	set(&v.Role, s.Role)
	set(&v.Handler, s.Handler)
	set(&v.Description, s.Description)
	set(&v.Timeout, s.Timeout)
	set(&v.Memory, s.MemorySize)
	if v.Timeout > maxTimeout {
		return invalid("1 validation error detected: Value '%d' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to %d", v.Timeout, maxTimeout)
	}
	if s.Environment != nil {
		if err := function.CheckEnvironment(s.Environment.Variables); err != nil {
			return err
		}
		v.Environment = s.Environment.Variables
	}
	if s.EphemeralStorage != nil {
		set(&v.Temporary, s.EphemeralStorage.Size)
	}
	if s.LoggingConfig != nil {
		set(&v.LogGroup, s.LoggingConfig.LogGroup)
	}
	return nil
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// refuse names what is asked for and not there.
func (s *settings) refuse() error {
	switch {
	case s.VpcConfig != nil && len(s.VpcConfig.SubnetIds)+len(s.VpcConfig.SecurityGroupIds) > 0:
		return unsupported("VpcConfig")
	case s.DeadLetterConfig != nil && text(s.DeadLetterConfig.TargetArn) != "":
		return invalid("thalweg's functions have no dead-letter queues: use an on-failure destination (PutFunctionEventInvokeConfig).")
	case text(s.KMSKeyArn) != "":
		return unsupported("KMSKeyArn")
	case s.TracingConfig != nil && text(s.TracingConfig.Mode) == "Active":
		return unsupported("TracingConfig.Mode Active")
	case len(s.Layers) > 0:
		return unsupported("Layers")
	case len(s.FileSystemConfigs) > 0:
		return unsupported("FileSystemConfigs")
	case s.ImageConfig != nil:
		return unsupported("ImageConfig")
	case s.SnapStart != nil && text(s.SnapStart.ApplyOn) == "PublishedVersions":
		return unsupported("SnapStart")
	}
	if l := s.LoggingConfig; l != nil && (text(l.LogFormat) == "JSON" || l.ApplicationLogLevel != nil || l.SystemLogLevel != nil) {
		return unsupported("LoggingConfig with LogFormat JSON or log levels")
	}
	return nil
}

// fresh is a version with AWS's defaults.
func fresh() function.Version {
	return function.Version{Timeout: 3, Memory: 128, Temporary: 512, Architecture: "x86_64", Modified: time.Time{}}
}
