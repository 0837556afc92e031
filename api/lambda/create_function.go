package lambda

import (
	"context"

	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/gate"
)

// CreateFunction makes a function. AWS answers while it is Pending; here it is
// Active, and can be invoked, when the answer comes.

type createFunctionRequest struct {
	FunctionName         *string  `aws:"required,min=1,max=140"`
	Code                 *codeIn  `aws:"required"`
	Architectures        []string `aws:"min=1,max=1" elem:"enum=x86_64|arm64"`
	CodeSigningConfigArn *string
	PackageType          *string `aws:"enum=Zip|Image"`
	Publish              *bool
	Tags                 map[string]string
	settings
}

// codeIn says where a function's code is.
type codeIn struct {
	ZipFile         []byte
	S3Bucket        *string
	S3Key           *string
	S3ObjectVersion *string
	ImageUri        *string
	SourceKMSKeyArn *string
}

func (a *api) createFunction(ctx context.Context, c *gate.Call, in *createFunctionRequest) (*configuration, error) {
	ref, err := a.resolve(c, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	switch {
	case ref.Qualifier != "":
		return nil, invalid("A function is created without a qualifier.")
	case text(in.PackageType) == "Image" || text(in.Code.ImageUri) != "":
		return nil, invalid("Functions of images cannot run here: they run as processes. Use PackageType Zip.")
	case in.Runtime == nil || in.Handler == nil:
		return nil, invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
	case in.Role == nil:
		return nil, required("role")
	case in.CodeSigningConfigArn != nil:
		return nil, unsupported("CodeSigningConfigArn")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	v := fresh()
	if len(in.Architectures) > 0 {
		v.Architecture = in.Architectures[0]
	}
	if err := in.apply(&v); err != nil {
		return nil, err
	}
	archive, err := a.archive(ctx, c, in.Code)
	if err != nil {
		return nil, err
	}
	d, made, err := a.functions.Create(ctx, ref.Name, v, in.Tags, archive, yes(in.Publish), c.Now)
	if err != nil {
		return nil, err
	}
	return shown(d, made, ""), nil
}

// shown is describe, as the answer that most operations have.
func shown(d *function.Function, v *function.Version, qualifier string) *configuration {
	if v.Number > 0 && qualifier == "" {
		qualifier = v.Qualifier()
	}
	c := describe(d, v, qualifier)
	return &c
}

// archive returns the code that a request has or names.
func (a *api) archive(ctx context.Context, c *gate.Call, in *codeIn) ([]byte, error) {
	inBucket := in.S3Bucket != nil || in.S3Key != nil
	switch {
	case in.SourceKMSKeyArn != nil:
		return nil, unsupported("SourceKMSKeyArn")
	case len(in.ZipFile) > 0 && !inBucket:
		return in.ZipFile, nil
	case len(in.ZipFile) > 0:
		return nil, invalid("Please do not provide other FunctionCode parameters when providing a ZipFile.")
	case text(in.S3Bucket) == "" || text(in.S3Key) == "":
		return nil, invalid("Please provide a source for function code.")
	case a.cfg.Fetch == nil:
		return nil, invalid("This server reads code from no buckets: tell it of an S3 endpoint, or send the archive as ZipFile.")
	}
	return a.cfg.Fetch(ctx, c.Region, *in.S3Bucket, *in.S3Key, text(in.S3ObjectVersion), function.MaxArchive)
}
