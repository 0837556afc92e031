package lambda

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

// UpdateFunctionCode replaces the code of $LATEST. Invocations that begin
// afterwards have it; those under way end with the code before.

type updateFunctionCodeRequest struct {
	target
	codeIn
	Architectures []string `aws:"min=1,max=1" elem:"enum=x86_64|arm64"`
	Publish       *bool
	DryRun        *bool
	RevisionId    *string
}

func (a *api) updateFunctionCode(ctx context.Context, c *gate.Call, in *updateFunctionCodeRequest) (*configuration, error) {
	ref, err := a.resolve(c, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	if text(in.ImageUri) != "" {
		return nil, invalid("Functions of images cannot run here: they run as processes. Use PackageType Zip.")
	}
	archive, err := a.archive(ctx, c, &in.codeIn)
	if err != nil {
		return nil, err
	}
	if yes(in.DryRun) {
		d, v, err := a.functions.CheckCode(ref.Name, archive)
		if err != nil {
			return nil, err
		}
		return shown(d, v, ""), nil
	}
	architecture := ""
	if len(in.Architectures) > 0 {
		architecture = in.Architectures[0]
	}
	d, v, err := a.functions.UpdateCode(ctx, ref.Name, archive, architecture, text(in.RevisionId), yes(in.Publish), c.Now)
	if err != nil {
		return nil, err
	}
	return shown(d, v, ""), nil
}
