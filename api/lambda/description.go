package lambda

import (
	"encoding/base64"
	"encoding/hex"
	"path"

	"github.com/thalweg/thalweg/function"
)

// configuration is Lambda's FunctionConfiguration.
type configuration struct {
	FunctionName     string
	FunctionArn      string
	Runtime          string
	Role             string
	Handler          *string
	CodeSize         int64
	Description      string
	Timeout          int
	MemorySize       int
	LastModified     string
	CodeSha256       string
	Version          string
	Environment      *environment
	TracingConfig    tracing
	RevisionId       string
	State            string
	LastUpdateStatus string
	PackageType      string
	Architectures    []string
	EphemeralStorage ephemeral
	SnapStart        snapStart
	LoggingConfig    logging
}

type environment struct{ Variables map[string]string }

type tracing struct{ Mode string }

type ephemeral struct{ Size int }

type snapStart struct{ ApplyOn, OptimizationStatus string }

type logging struct{ LogFormat, LogGroup string }

// describe is a version as AWS shows it. ref is what the ARN is to show: with
// a qualifier where the caller gave one.
func describe(d *function.Function, v *function.Version, qualifier string) configuration {
	ref := function.Ref{Name: d.Name, Qualifier: qualifier}
	sum, _ := hex.DecodeString(v.Code.SHA256) // ours
	c := configuration{
		FunctionName: d.Name.Function, FunctionArn: ref.ARN(), Runtime: v.Runtime, Role: v.Role, Handler: optional(v.Handler),
		CodeSize: v.Code.Size, Description: v.Description, Timeout: v.Timeout, MemorySize: v.Memory,
		LastModified: stamp(v.Modified), CodeSha256: base64.StdEncoding.EncodeToString(sum), Version: v.Qualifier(),
		TracingConfig: tracing{"PassThrough"}, RevisionId: v.Revision, State: "Active", LastUpdateStatus: "Successful",
		PackageType: "Zip", Architectures: []string{v.Architecture}, EphemeralStorage: ephemeral{v.Temporary},
		SnapStart: snapStart{"None", "Off"}, LoggingConfig: logging{"Text", v.LogGroup},
	}
	if c.LoggingConfig.LogGroup == "" {
		c.LoggingConfig.LogGroup = path.Join("/aws/lambda", d.Name.Function)
	}
	if len(v.Environment) > 0 {
		c.Environment = &environment{v.Environment}
	}
	return c
}
