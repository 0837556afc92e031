package function

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Credentials are what a function's calls are signed with.
type Credentials struct{ AccessKey, Secret, Token string }

// reserved are the variables that a function cannot set ("Using Lambda
// environment variables": reserved environment variables).
func reserved() []string {
	return []string{"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME",
		"AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"}
}

// maxEnvironment bounds names and values together ("Lambda quotas": 4 KB).
const maxEnvironment = 4 << 10

// CheckEnvironment says what is wrong with the variables that a function wants.
func CheckEnvironment(variables map[string]string) error {
	size := 0
	var taken []string
	for name, value := range variables {
		size += len(name) + len(value)
		if slices.Contains(reserved(), name) {
			taken = append(taken, name)
		}
		if !validVariable(name) || strings.ContainsRune(value, 0) {
			return invalid("Environment variable %.100q has no name of letters, digits and _, or a value that no process can be given.", name)
		}
	}
	switch {
	case len(taken) > 0:
		slices.Sort(taken)
		return invalid("Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: %s", strings.Join(taken, ", "))
	case size > maxEnvironment:
		return invalid("Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. String measured: %d bytes", size)
	}
	return nil
}

func validVariable(name string) bool {
	for i := range len(name) {
		c := name[i] | 0x20
		if !('a' <= c && c <= 'z' || name[i] == '_' || i > 0 && '0' <= name[i] && name[i] <= '9') {
			return false
		}
	}
	return name != ""
}

// group and stream are where CloudWatch would have the logs.
func (s *spec) group() string {
	if s.version.LogGroup != "" {
		return s.version.LogGroup
	}
	return "/aws/lambda/" + s.name.Function
}

// environment is what an instance's process finds in its environment: AWS's
// variables, the function's own, and where home is.
func (f *Functions) environment(s *spec, dir, address, mark string, now time.Time) []string {
	v := s.version
	cred := Credentials{"thalweg", "thalweg", ""}
	if f.cfg.Credentials != nil {
		cred = f.cfg.Credentials(s.name.Account, s.name.Region)
	}
	env := []string{
		"AWS_LAMBDA_RUNTIME_API=" + address,
		"_HANDLER=" + v.Handler,
		"LAMBDA_TASK_ROOT=" + dir,
		"LAMBDA_RUNTIME_DIR=" + f.codes.work,
		"AWS_LAMBDA_FUNCTION_NAME=" + s.name.Function,
		"AWS_LAMBDA_FUNCTION_VERSION=" + v.Qualifier(),
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=" + strconv.Itoa(v.Memory),
		"AWS_LAMBDA_LOG_GROUP_NAME=" + s.group(),
		fmt.Sprintf("AWS_LAMBDA_LOG_STREAM_NAME=%s[%s]%s", now.UTC().Format("2006/01/02/"), v.Qualifier(), strings.ReplaceAll(mark[len(mark)-36:], "-", "")),
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_EXECUTION_ENV=AWS_Lambda_" + v.Runtime,
		"AWS_REGION=" + s.name.Region,
		"AWS_DEFAULT_REGION=" + s.name.Region,
		"AWS_ACCESS_KEY_ID=" + cred.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + cred.Secret,
		"AWS_SESSION_TOKEN=" + cred.Token,
		"TZ=:UTC", "LANG=en_US.UTF-8",
		"PATH=" + os.Getenv("PATH"),
		"PYTHONPATH=" + dir,
		"NODE_PATH=" + filepath.Join(dir, "node_modules"),
	}
	if f.cfg.Home != nil {
		if home := f.cfg.Home(); home != "" {
			env = append(env, "AWS_ENDPOINT_URL="+home)
		}
	}
	for name, value := range v.Environment { // the last one counts
		env = append(env, name+"="+value)
	}
	return append(env, markName+"="+mark) // which no variable of the function's hides
}

// markName is the variable by which a process is known to be of an instance,
// whatever group it has put itself into.
const markName = "THALWEG_INSTANCE"
