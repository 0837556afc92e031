package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/thalweg/thalweg/server"
)

// settings is the one table of what the server can be told. From its tags
// come the flags (--listen), the environment (THALWEG_LISTEN), the keys of the
// configuration file (listen:), their documentation, and the table in the
// README, which a test compares with it. A flag wins over the environment,
// the environment over the file, the file over the default.
type settings struct {
	Listen    string `yaml:"listen" default:"127.0.0.1:4567" help:"address and port of everything: HTTP/1.1, HTTP/2 and TLS"`
	Data      string `yaml:"data" default:"./thalweg-data" help:"folder that holds everything that is kept"`
	Ephemeral bool   `yaml:"ephemeral" default:"false" help:"keep everything in memory and forget it at the end"`
	Limits    string `yaml:"limits" default:"aws" words:"aws|off" help:"enforce the limits of AWS per shard and call, or none"`
	Auth      string `yaml:"auth" default:"" words:"any|none|verify" help:"any: well-formed credentials, unchecked; none: no credentials asked for; verify: configured credentials and true signatures. Unset: verify when credentials are configured, else any, on loopback only"`
	TLSCert   string `yaml:"tls-cert" default:"" help:"PEM certificate chain. Unset: one is made on first start, with its own CA"`
	TLSKey    string `yaml:"tls-key" default:"" help:"PEM key of tls-cert"`
	LogLevel  string `yaml:"log-level" default:"info" words:"debug|info|warn|error" help:"least severe message to log, on standard error"`
	Processes int    `yaml:"function-processes" default:"0" help:"most functions that run at once, each as a process; 0: four per processor, at least 8"`
	Functions string `yaml:"function-endpoint" default:"" help:"URL of a Lambda-compatible endpoint that runs functions instead. Unset: they run here"`
	Pprof     string `yaml:"pprof" default:"" help:"loopback address and port to serve Go's profiles on. Unset: they are not served"`
	Faults    bool   `yaml:"faults" default:"false" help:"let tests have calls meet faults on purpose, at /admin/faults"`

	S3  string `yaml:"s3-endpoint" default:"" help:"URL of an S3 service, for functions' code and on-failure destinations; calls are signed with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"`
	SQS string `yaml:"sqs-endpoint" default:"" help:"likewise, of an SQS service"`
	SNS string `yaml:"sns-endpoint" default:"" help:"likewise, of an SNS service"`

	// Credentials come from the file, or one of them from
	// THALWEG_ACCESS_KEY_ID, THALWEG_SECRET_ACCESS_KEY and THALWEG_ACCOUNT.
	Credentials []credential `yaml:"credentials"`

	// Streams come from the file alone.
	Streams []declaredStream `yaml:"streams"`
}

// declaredStream is a stream that is to exist, as server.Stream.
type declaredStream struct {
	Name           string            `yaml:"name"`
	Shards         int               `yaml:"shards"`
	OnDemand       bool              `yaml:"on_demand"`
	RetentionHours int               `yaml:"retention_hours"`
	MaxRecordKiB   int               `yaml:"max_record_kib"`
	Tags           map[string]string `yaml:"tags"`
	Account        string            `yaml:"account"`
	Region         string            `yaml:"region"`
	Metrics        []string          `yaml:"metrics"`
	Consumers      []string          `yaml:"consumers"`
	Limits         string            `yaml:"limits"`
}

type credential struct {
	AccessKeyID     string `yaml:"access_key_id"`
	SecretAccessKey string `yaml:"secret_access_key"`
	Account         string `yaml:"account"`
}

// row is one line of the table.
type row struct {
	name, env, preset, help string
	words                   []string
	field                   int
}

func rows() (rows []row) {
	t := reflect.TypeFor[settings]()
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Tag.Get("help") == "" {
			continue
		}
		name := f.Tag.Get("yaml")
		r := row{
			name: name, env: "THALWEG_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")),
			preset: f.Tag.Get("default"), help: f.Tag.Get("help"), field: i,
		}
		if words := f.Tag.Get("words"); words != "" {
			r.words = strings.Split(words, "|")
		}
		rows = append(rows, r)
	}
	return rows
}

// set gives the row's setting in s a value, checked.
func (r row) set(s *settings, value string) error {
	if r.words != nil && value != r.preset && !slices.Contains(r.words, value) {
		return fmt.Errorf("%q is none of %s", value, orList(r.words))
	}
	switch f := reflect.ValueOf(s).Elem().Field(r.field); f.Kind() {
	case reflect.Bool:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", value)
		}
		f.SetBool(b)
	case reflect.Int:
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is no number from 0 on", value)
		}
		f.SetInt(int64(n))
	default:
		f.SetString(value)
	}
	return nil
}

func (r row) get(s *settings) string {
	return fmt.Sprint(reflect.ValueOf(s).Elem().Field(r.field).Interface())
}

// settingFlag makes a row a flag: it remembers the text until load.
type settingFlag struct {
	row   row
	value string
}

func (f *settingFlag) String() string { return f.value }
func (f *settingFlag) Type() string {
	if f.row.preset == "false" {
		return "bool"
	}
	return "string"
}
func (f *settingFlag) Set(v string) error {
	f.value = v
	return f.row.set(new(settings), v)
}

// addSettings gives a command a flag for each row, and --config.
func addSettings(cmd *cobra.Command) {
	for _, r := range rows() {
		help := r.help
		if r.words != nil {
			help += " (" + strings.Join(r.words, "|") + ")"
		}
		flag := cmd.Flags().VarPF(&settingFlag{row: r, value: r.preset}, r.name, "", help+" ["+r.env+"]")
		if r.preset == "false" {
			flag.NoOptDefVal = "true"
		}
		if r.words != nil {
			_ = cmd.RegisterFlagCompletionFunc(r.name, cobra.FixedCompletions(r.words, cobra.ShellCompDirectiveNoFileComp))
		}
	}
	cmd.Flags().String("config", "", "YAML file of these settings, of credentials and streams [THALWEG_CONFIG]")
}

// loadSettings puts together what the file, the environment and the flags say.
func loadSettings(flags *pflag.FlagSet, env func(string) string) (settings, error) {
	var s settings
	for _, r := range rows() {
		if err := r.set(&s, r.preset); err != nil {
			return s, fmt.Errorf("default of %s: %w", r.name, err)
		}
	}
	file, _ := flags.GetString("config")
	if file == "" {
		file = env("THALWEG_CONFIG")
	}
	if file != "" {
		if err := readSettings(file, &s); err != nil {
			return s, err
		}
	}
	for _, r := range rows() {
		if v := env(r.env); v != "" {
			if err := r.set(&s, v); err != nil {
				return s, fmt.Errorf("%s: %w", r.env, err)
			}
		}
		if flag := flags.Lookup(r.name); flag.Changed {
			if err := r.set(&s, flag.Value.String()); err != nil {
				return s, fmt.Errorf("--%s: %w", r.name, err)
			}
		}
	}
	if id := env("THALWEG_ACCESS_KEY_ID"); id != "" {
		s.Credentials = append(s.Credentials, credential{id, env("THALWEG_SECRET_ACCESS_KEY"), env("THALWEG_ACCOUNT")})
	}
	return s, nil
}

// readSettings reads a configuration file over s. Unknown keys are errors that
// show their line.
func readSettings(name string, s *settings) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	read := *s
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&read); err != nil && err != io.EOF {
		return fmt.Errorf("configuration %s: %s", name, yaml.FormatError(err, false, true))
	}
	if !reflect.ValueOf(read).IsZero() { // which a file of nothing but comments makes it
		*s = read
	}
	for _, r := range rows() {
		if err := r.set(new(settings), r.get(s)); err != nil {
			return fmt.Errorf("configuration %s: %s: %w", name, r.name, err)
		}
	}
	var bad *server.DeclarationError
	if err := server.CheckStreams(s.config().Streams); errors.As(err, &bad) {
		return fmt.Errorf("configuration %s:%d: %w", name, lineOf(text, bad), err)
	}
	return nil
}

// lineOf finds the line of a configuration file that a mistake is in: that of
// the key, or of the stream when the key is missing. 0: nowhere.
func lineOf(text []byte, bad *server.DeclarationError) int {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return 0
	}
	for _, at := range []string{"$.streams[%d]." + bad.Field, "$.streams[%d]"} {
		path, err := yaml.PathString(fmt.Sprintf(at, bad.Index))
		if err != nil {
			continue
		}
		if node, err := path.FilterFile(file); err == nil && node != nil {
			return node.GetToken().Position.Line
		}
	}
	return 0
}

// config is what package server is told.
func (s settings) config() server.Config {
	cfg := server.Config{
		Listen: s.Listen, Data: s.Data, Ephemeral: s.Ephemeral, Limits: s.Limits == "aws",
		Auth: s.Auth, TLSCert: s.TLSCert, TLSKey: s.TLSKey, Pprof: s.Pprof, Faults: s.Faults,
		Remote:    server.Remote{Endpoints: map[string]string{"s3": s.S3, "sqs": s.SQS, "sns": s.SNS}},
		Functions: server.Functions{Processes: s.Processes, Endpoint: s.Functions},
	}
	for _, d := range s.Streams {
		cfg.Streams = append(cfg.Streams, server.Stream(d))
	}
	for _, c := range s.Credentials {
		cfg.Credentials = append(cfg.Credentials, server.Credential{
			AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, Account: c.Account,
		})
	}
	return cfg
}
