package sink

import (
	"context"

	"github.com/thalweg/thalweg/gate"
)

type getCallerIdentityRequest struct{}

type getCallerIdentityResponse struct{ Arn, UserId, Account string }

// getCallerIdentity says whose credentials a call was made with: a session's
// role, or the account's root, as thalweg has no users. It needs no permission.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
func (a *api) getCallerIdentity(_ context.Context, c *gate.Call, _ *getCallerIdentityRequest) (*getCallerIdentityResponse, error) {
	return caller(c), nil
}

func caller(c *gate.Call) *getCallerIdentityResponse {
	if s := c.Session; s.ARN != "" {
		return &getCallerIdentityResponse{s.ARN, s.UserID, c.Account}
	}
	return &getCallerIdentityResponse{"arn:aws:iam::" + c.Account + ":root", c.Account, c.Account}
}
