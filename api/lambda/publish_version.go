package lambda

import (
	"context"
	"encoding/base64"
	"encoding/hex"

	"github.com/thalweg/thalweg/gate"
)

// PublishVersion makes a version of what $LATEST is now.

type publishVersionRequest struct {
	target
	CodeSha256  *string
	Description *string `aws:"max=256"`
	RevisionId  *string
}

func (a *api) publishVersion(ctx context.Context, c *gate.Call, in *publishVersionRequest) (*configuration, error) {
	ref, err := a.resolve(c, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	sum, err := base64.StdEncoding.DecodeString(text(in.CodeSha256))
	if err != nil {
		return nil, invalid("CodeSha256 is not in base64.")
	}
	d, v, err := a.functions.Publish(ctx, ref.Name, hex.EncodeToString(sum), text(in.RevisionId), in.Description, c.Now)
	if err != nil {
		return nil, err
	}
	return shown(d, v, ""), nil
}
