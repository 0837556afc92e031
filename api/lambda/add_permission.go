package lambda

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/thalweg/thalweg/function"
	"github.com/thalweg/thalweg/gate"
)

// AddPermission adds a statement to a function's policy. Policies are kept and
// told; whoever may call this server may invoke its functions.

type addPermissionRequest struct {
	qualified
	StatementId           *string `aws:"required,min=1,max=100,pattern=([a-zA-Z0-9-_]+)"`
	Action                *string `aws:"required,pattern=(lambda:[*]|lambda:[a-zA-Z]+|[*])"`
	Principal             *string `aws:"required,pattern=[^\\s]+"`
	SourceArn             *string
	SourceAccount         *string `aws:"max=12,pattern=\\d{12}"`
	EventSourceToken      *string `aws:"max=256,pattern=[a-zA-Z0-9._\\-]+"`
	PrincipalOrgID        *string `aws:"min=12,max=34,pattern=o-[a-z0-9]{10,32}"`
	FunctionUrlAuthType   *string `aws:"enum=NONE|AWS_IAM"`
	InvokedViaFunctionUrl *bool
	RevisionId            *string
}

type addPermissionAnswer struct{ Statement string }

func (a *api) addPermission(ctx context.Context, c *gate.Call, in *addPermissionRequest) (*addPermissionAnswer, error) {
	ref, err := a.resolve(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	if in.FunctionUrlAuthType != nil || yes(in.InvokedViaFunctionUrl) {
		return nil, unsupported("FunctionUrlAuthType (function URLs)")
	}
	s := in.statement(ref)
	if err := a.functions.Permit(ctx, ref, function.Statement{ID: *in.StatementId, JSON: s}, text(in.RevisionId)); err != nil {
		return nil, err
	}
	return &addPermissionAnswer{s}, nil
}

// statement is the JSON that AWS makes of a permission.
func (in *addPermissionRequest) statement(ref function.Ref) string {
	var principal any = map[string]string{"Service": *in.Principal}
	switch p := *in.Principal; {
	case p == "*":
		principal = p
	case strings.HasPrefix(p, "arn:"):
		principal = map[string]string{"AWS": p}
	case len(p) == 12 && strings.Trim(p, "0123456789") == "":
		principal = map[string]string{"AWS": "arn:aws:iam::" + p + ":root"}
	}
	condition := map[string]map[string]string{}
	add := func(operator, key string, value *string) {
		if value == nil {
			return
		}
		if condition[operator] == nil {
			condition[operator] = map[string]string{}
		}
		condition[operator][key] = *value
	}
	add("ArnLike", "AWS:SourceArn", in.SourceArn)
	add("StringEquals", "AWS:SourceAccount", in.SourceAccount)
	add("StringEquals", "aws:PrincipalOrgID", in.PrincipalOrgID)
	add("StringEquals", "lambda:EventSourceToken", in.EventSourceToken)
	b, err := json.Marshal(struct {
		Sid       string
		Effect    string
		Principal any
		Action    string
		Resource  string
		Condition map[string]map[string]string `json:",omitempty"`
	}{*in.StatementId, "Allow", principal, *in.Action, ref.ARN(), condition})
	if err != nil {
		panic(err) // strings
	}
	return string(b)
}
