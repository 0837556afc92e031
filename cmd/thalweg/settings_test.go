package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// load runs loadSettings with the given flags, file and environment.
func load(t *testing.T, flags []string, file string, env map[string]string) (settings, error) {
	t.Helper()
	cmd := &cobra.Command{}
	addSettings(cmd)
	if file != "" {
		name := filepath.Join(t.TempDir(), "thalweg.yaml")
		if err := os.WriteFile(name, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		flags = append(flags, "--config", name)
	}
	if err := cmd.ParseFlags(flags); err != nil {
		return settings{}, err
	}
	return loadSettings(cmd.Flags(), func(name string) string { return env[name] })
}

func TestSettingsPrecedence(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags []string
		file  string
		env   map[string]string
		want  string
	}{
		{"the default", nil, "", nil, "127.0.0.1:4567"},
		{"the file over the default", nil, "listen: f:1\n", nil, "f:1"},
		{"the environment over the file", nil, "listen: f:1\n", map[string]string{"THALWEG_LISTEN": "e:1"}, "e:1"},
		{"a flag over all", []string{"--listen", "g:1"}, "listen: f:1\n", map[string]string{"THALWEG_LISTEN": "e:1"}, "g:1"},
		{"a flag that repeats the default", []string{"--listen", "127.0.0.1:4567"}, "listen: f:1\n", nil, "127.0.0.1:4567"},
		{"an empty file", nil, "# nothing\n", nil, "127.0.0.1:4567"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := load(t, c.flags, c.file, c.env)
			if err != nil || s.Listen != c.want {
				t.Errorf("listen %q, %v, want %q", s.Listen, err, c.want)
			}
		})
	}
}

func TestSettingsTypes(t *testing.T) {
	s, err := load(t, []string{"--ephemeral", "--limits=off"}, "log-level: warn\ncredentials:\n  - access_key_id: a\n    secret_access_key: b\n    account: \"123456789012\"\n",
		map[string]string{"THALWEG_ACCESS_KEY_ID": "c", "THALWEG_SECRET_ACCESS_KEY": "d"})
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.config()
	if !cfg.Ephemeral || cfg.Limits || s.LogLevel != "warn" || len(cfg.Credentials) != 2 ||
		cfg.Credentials[0].Account != "123456789012" || cfg.Credentials[1].SecretAccessKey != "d" {
		t.Errorf("config %+v", cfg)
	}
}

func TestSettingsMistakes(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags []string
		file  string
		env   map[string]string
		want  string
	}{
		{"a word that is none", []string{"--limits", "some"}, "", nil, `"some" is none of aws or off`},
		{"in the environment", nil, "", map[string]string{"THALWEG_AUTH": "maybe"}, `THALWEG_AUTH: "maybe" is none of any, none or verify`},
		{"in the file", nil, "limits: some\n", nil, `limits: "some" is none of`},
		{"neither true nor false", nil, "", map[string]string{"THALWEG_EPHEMERAL": "si"}, "neither true nor false"},
		{"an unknown key", nil, "data: x\nlisten_on: y\n", nil, `unknown field "listen_on"`},
		{"a key within credentials", nil, "credentials:\n  - key: x\n", nil, `unknown field "key"`},
		{"no such file", []string{"--config", "/no/such/file"}, "", nil, "configuration: open /no/such/file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := load(t, c.flags, c.file, c.env); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// The README's table is made of the same rows as the flags.
func TestReadmeSettings(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows() {
		help, preset := r.help, r.preset
		if r.words != nil {
			help += " (`" + strings.Join(r.words, "`, `") + "`)"
		}
		if preset != "" {
			preset = "`" + preset + "`"
		}
		line := "| `--" + r.name + "` | `" + r.env + "` | `" + r.name + "` | " + preset + " | " + help + " |"
		if !strings.Contains(string(readme), line+"\n") {
			t.Errorf("README.md has no line\n%s", line)
		}
	}
}
