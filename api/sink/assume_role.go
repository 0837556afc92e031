package sink

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"regexp"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
)

type assumeRoleRequest struct {
	RoleArn         *string `aws:"required,min=20,max=2048"`
	RoleSessionName *string `aws:"required,min=2,max=64,pattern=[\\w+=,.@-]*"`
	DurationSeconds *int32  `aws:"min=900,max=43200"`
	SourceIdentity  *string `aws:"min=2,max=64,pattern=[\\w+=,.@-]*"`
	Policy          *string
	PolicyArns      []policyDescriptor
	SerialNumber    *string
	TokenCode       *string
}

type policyDescriptor struct {
	Arn *string `aws:"name=arn"`
}

type assumeRoleResponse struct {
	Credentials     credentials
	AssumedRoleUser assumedRoleUser
	SourceIdentity  *string
}

type credentials struct {
	AccessKeyId, SecretAccessKey, SessionToken string
	Expiration                                 time.Time
}

type assumedRoleUser struct{ AssumedRoleId, Arn string }

// How long a session lasts: what AWS gives when nothing is asked for, which is
// also all that a session can give to another.
const usualSession = 3600

var roleARN = regexp.MustCompile(`^arn:([a-z-]+):iam::(\d{12}):role/(?:.*/)?([\w+=,.@-]+)$`)

// assumeRole gives out temporary credentials that act in the role's account.
// It differs from AWS in that roles need not be made: there are none, and
// nobody's rights differ within an account. What would lessen the session's
// rights (Policy, PolicyArns) or prove the caller's (MFA) is refused, as it
// could not be honoured; session tags and external ids have only policies to
// act on.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func (a *api) assumeRole(_ context.Context, c *gate.Call, in *assumeRoleRequest) (*assumeRoleResponse, error) {
	role := roleARN.FindStringSubmatch(*in.RoleArn)
	switch {
	case role == nil:
		return nil, fault.New(fault.Constraint, "%s is invalid", *in.RoleArn)
	case in.Policy != nil || len(in.PolicyArns) > 0:
		return nil, fault.New(fault.Invalid, "thalweg has no policies yet: a session with Policy or PolicyArns would have more rights than it asks for.")
	case in.SerialNumber != nil || in.TokenCode != nil:
		return nil, fault.New(fault.Denied, "MultiFactorAuthentication failed: thalweg knows no MFA devices.")
	}
	seconds := int32(usualSession)
	if in.DurationSeconds != nil {
		seconds = *in.DurationSeconds
	}
	if c.Session.ARN != "" && seconds > usualSession {
		return nil, fault.New(fault.Constraint, "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	}
	partition, account, name := role[1], role[2], role[3]
	if a.OwnAccount && account != c.Account {
		return nil, fault.New(fault.Denied, "User: %s is not authorized to perform: sts:AssumeRole on resource: %s", caller(c).Arn, *in.RoleArn)
	}
	sum := sha256.Sum256([]byte(*in.RoleArn))
	user := assumedRoleUser{
		AssumedRoleId: "AROA" + base32.StdEncoding.EncodeToString(sum[:])[:17] + ":" + *in.RoleSessionName,
		Arn:           "arn:" + partition + ":sts::" + account + ":assumed-role/" + name + "/" + *in.RoleSessionName,
	}
	expires := c.Now.Add(time.Duration(seconds) * time.Second).UTC().Truncate(time.Second)
	made := a.Issue(gate.Session{
		Parent: cmp.Or(c.Session.Parent, c.AccessKey), Account: account, ARN: user.Arn, UserID: user.AssumedRoleId, Expires: expires,
	})
	return &assumeRoleResponse{
		Credentials:     credentials{made.AccessKey, made.Secret, made.Token, expires},
		AssumedRoleUser: user,
		SourceIdentity:  in.SourceIdentity,
	}, nil
}
