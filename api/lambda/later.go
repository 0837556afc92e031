package lambda

import (
	"context"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/gate"
)

// later are the operations that AWS has and we have not, by the feature that
// they belong to: each answers with a sentence that says so. Together with
// those that are there they are AWS's model as of 2026-08.
func later() (ops []gate.Op) {
	for _, f := range []struct{ feature, method, path, name string }{
		{"layers", get, "/2018-10-31/layers", "ListLayers"}, // and GetLayerVersionByArn
		{"layers", get, "/2018-10-31/layers/{LayerName}/versions", "ListLayerVersions"},
		{"layers", post, "/2018-10-31/layers/{LayerName}/versions", "PublishLayerVersion"},
		{"layers", get, "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}", "GetLayerVersion"},
		{"layers", del, "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}", "DeleteLayerVersion"},
		{"layers", get, "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy", "GetLayerVersionPolicy"},
		{"layers", post, "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy", "AddLayerVersionPermission"},
		{"layers", del, "/2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy/{StatementId}", "RemoveLayerVersionPermission"},
		{"function URLs", get, "/2021-10-31/functions/{FunctionName}/url", "GetFunctionUrlConfig"},
		{"function URLs", post, "/2021-10-31/functions/{FunctionName}/url", "CreateFunctionUrlConfig"},
		{"function URLs", put, "/2021-10-31/functions/{FunctionName}/url", "UpdateFunctionUrlConfig"},
		{"function URLs", del, "/2021-10-31/functions/{FunctionName}/url", "DeleteFunctionUrlConfig"},
		{"function URLs", get, "/2021-10-31/functions/{FunctionName}/urls", "ListFunctionUrlConfigs"},
		{"streamed responses", post, "/2021-11-15/functions/{FunctionName}/response-streaming-invocations", "InvokeWithResponseStream"},
		{"provisioned concurrency", get, "/2019-09-30/functions/{FunctionName}/provisioned-concurrency", "GetProvisionedConcurrencyConfig"}, // and List
		{"provisioned concurrency", put, "/2019-09-30/functions/{FunctionName}/provisioned-concurrency", "PutProvisionedConcurrencyConfig"},
		{"provisioned concurrency", del, "/2019-09-30/functions/{FunctionName}/provisioned-concurrency", "DeleteProvisionedConcurrencyConfig"},
		{"code signing", get, "/2020-04-22/code-signing-configs", "ListCodeSigningConfigs"},
		{"code signing", post, "/2020-04-22/code-signing-configs", "CreateCodeSigningConfig"},
		{"code signing", get, "/2020-04-22/code-signing-configs/{Arn}", "GetCodeSigningConfig"},
		{"code signing", put, "/2020-04-22/code-signing-configs/{Arn}", "UpdateCodeSigningConfig"},
		{"code signing", del, "/2020-04-22/code-signing-configs/{Arn}", "DeleteCodeSigningConfig"},
		{"code signing", get, "/2020-04-22/code-signing-configs/{Arn}/functions", "ListFunctionsByCodeSigningConfig"},
		{"code signing", put, "/2020-06-30/functions/{FunctionName}/code-signing-config", "PutFunctionCodeSigningConfig"},
		{"code signing", del, "/2020-06-30/functions/{FunctionName}/code-signing-config", "DeleteFunctionCodeSigningConfig"},
		{"a choice of runtime versions", put, "/2021-07-20/functions/{FunctionName}/runtime-management-config", "PutRuntimeManagementConfig"},
		{"an end to loops of functions", put, "/2024-08-31/functions/{FunctionName}/recursion-config", "PutFunctionRecursionConfig"},
	} {
		ops = append(ops, at(f.method, f.path, 0, gate.Op{Name: f.name, Serve: func(_ context.Context, _ *gate.Call, dst []byte) ([]byte, error) {
			return dst, fault.New(fault.Unknown, "thalweg's functions do not have %s, to which %s belongs.", f.feature, f.name)
		}}))
	}
	return ops
}
