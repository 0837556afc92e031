package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func newFnDeploy() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deploy SOURCE",
		Short: "Make a function of a file or a folder, or replace its code",
		Long: `deploy makes a function of a Go package, a Python or Node file or folder, a program
called bootstrap, or a zip, and finds out its runtime and its handler where they
are not given. Go is built here, for this machine. A function that is there gets
the new code and what is given besides.`,
		Example: `  thalweg fn deploy ./cmd/hello
  thalweg fn deploy app.py --handler app.lambda_handler --env TABLE=orders
  thalweg fn deploy build.zip --name worker --runtime provided.al2023`,
		Args: cobra.ExactArgs(1),
	}
	conn, output := connectFlags(cmd), outputFlag(cmd)
	f := cmd.Flags()
	name := f.String("name", "", "the function's name; the source's when left out")
	runtimeFlag := f.String("runtime", "", "the runtime, such as python3.13; found out when left out")
	handler := f.String("handler", "", "the handler, such as app.handler; found out when left out")
	timeout := f.Int("timeout", 0, "seconds that it may run, 1 to 900 (default 3)")
	memory := f.Int("memory", 0, "MB that it may use, 128 to 32768 (default 128)")
	env := f.StringToString("env", nil, "variables, as NAME=VALUE; they replace those there are")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := conn.client()
		if err != nil {
			return err
		}
		p, err := pack(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		override(&p.name, *name)
		override(&p.runtime, *runtimeFlag)
		override(&p.handler, *handler)
		if p.runtime == "" {
			return hinted{fmt.Errorf("%s: what runs it cannot be found out", args[0]), "Say it with --runtime: provided.al2023 for a program called bootstrap, python3.13 or nodejs22.x."}
		}
		config := map[string]any{"Runtime": p.runtime, "Handler": p.handler}
		if *timeout != 0 {
			config["Timeout"] = *timeout
		}
		if *memory != 0 {
			config["MemorySize"] = *memory
		}
		if len(*env) > 0 {
			config["Environment"] = map[string]any{"Variables": *env}
		}
		done, err := c.deploy(cmd.Context(), p, config)
		if err != nil {
			return err
		}
		if output.value == "json" {
			return printJSON(cmd.OutOrStdout(), done)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "function %s is deployed: %s, %s, %d bytes\n", done.FunctionName, done.Runtime, done.Handler, done.CodeSize)
		return err
	}
	return cmd
}

func override(to *string, value string) {
	if value != "" {
		*to = value
	}
}

// deploy makes the function, or gives it the code and the configuration.
func (c *client) deploy(ctx context.Context, p *packed, config map[string]any) (done fnConfig, err error) {
	architecture := "x86_64"
	if runtime.GOARCH == "arm64" {
		architecture = "arm64"
	}
	create := map[string]any{
		"FunctionName": p.name, "Role": "arn:aws:iam::000000000000:role/thalweg", "Code": map[string]any{"ZipFile": p.archive},
		"Architectures": []string{architecture},
	}
	maps.Copy(create, config)
	err = c.lambda(ctx, "CreateFunction", http.MethodPost, functionsPath, create, &done)
	if !isType(err, "ResourceConflictException") {
		return done, err
	}
	path := functionsPath + "/" + url.PathEscape(p.name)
	if err := c.lambda(ctx, "UpdateFunctionCode", http.MethodPut, path+"/code", map[string]any{"ZipFile": p.archive, "Architectures": []string{architecture}}, nil); err != nil {
		return done, err
	}
	return done, c.lambda(ctx, "UpdateFunctionConfiguration", http.MethodPut, path+"/configuration", config, &done)
}

// packed is a source, ready to be sent.
type packed struct {
	name, runtime, handler string
	archive                []byte
}

// The runtimes that deploy chooses.
const (
	ownRuntime    = "provided.al2023"
	pythonRuntime = "python3.13"
	nodeRuntime   = "nodejs22.x"
)

// pack makes an archive of a source and finds out how it is run.
func pack(ctx context.Context, source string) (*packed, error) {
	full, err := filepath.Abs(source)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(full)
	if err != nil {
		return nil, err
	}
	base := filepath.Base(full)
	stem := strings.TrimSuffix(base, filepath.Ext(base))
	p := &packed{name: unfit.ReplaceAllString(stem, "-"), handler: "bootstrap"}
	switch {
	case info.IsDir():
		p.name = unfit.ReplaceAllString(base, "-")
		return p, p.folder(ctx, full)
	case filepath.Ext(base) == ".zip":
		if p.archive, err = os.ReadFile(full); err != nil {
			return nil, err
		}
		return p, p.guess()
	case filepath.Ext(base) == ".go":
		return p, p.build(ctx, filepath.Dir(full), base)
	}
	text, err := os.ReadFile(full)
	if err != nil {
		return nil, err
	}
	switch filepath.Ext(base) {
	case ".py", ".js", ".mjs", ".cjs":
		p.script(base, text)
	default:
		if info.Mode()&0o111 == 0 {
			return nil, hinted{fmt.Errorf("%s is no source that deploy knows, and no program", source), "Give it a .go, .py, .js, .mjs, .cjs or .zip file, a program, or a folder with one of them."}
		}
		base, p.runtime = "bootstrap", ownRuntime
	}
	p.archive, err = zipOf(map[string][]byte{base: text})
	return p, err
}

var (
	unfit         = regexp.MustCompile(`[^a-zA-Z0-9-_]+`)
	pythonHandler = regexp.MustCompile(`(?m)^(?:async )?def (lambda_handler|handler)\(`)
)

// script finds out how a file in Python or Node is run.
func (p *packed) script(file string, text []byte) {
	stem := strings.TrimSuffix(file, filepath.Ext(file))
	p.runtime, p.handler = nodeRuntime, stem+".handler"
	if filepath.Ext(file) == ".py" {
		p.runtime = pythonRuntime
		if m := pythonHandler.FindSubmatch(text); m != nil {
			p.handler = stem + "." + string(m[1])
		}
	}
}

// folder packs a Go package, or all files of a folder.
func (p *packed) folder(ctx context.Context, dir string) error {
	if programs, _ := filepath.Glob(filepath.Join(dir, "*.go")); len(programs) > 0 {
		return p.build(ctx, dir, ".")
	}
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "__pycache__"):
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		files[filepath.ToSlash(name)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		return err
	}
	if p.archive, err = zipOf(files); err != nil {
		return err
	}
	return p.guess()
}

// guess finds out how an archive is run by the files at its top.
func (p *packed) guess() error {
	z, err := zip.NewReader(bytes.NewReader(p.archive), int64(len(p.archive)))
	if err != nil {
		return fmt.Errorf("the archive does not read: %w", err)
	}
	names := map[string]*zip.File{}
	for _, f := range z.File {
		names[f.Name] = f
	}
	if names["bootstrap"] != nil {
		p.runtime = ownRuntime
		return nil
	}
	candidates := []string{"lambda_function.py", "app.py", "main.py", "handler.py", "index.py"}
	for _, stem := range []string{"index", "app", "main", "handler"} {
		candidates = append(candidates, stem+".mjs", stem+".js", stem+".cjs")
	}
	for _, c := range candidates {
		f := names[c]
		if f == nil {
			continue
		}
		in, err := f.Open()
		if err != nil {
			return err
		}
		defer in.Close()
		text, err := io.ReadAll(io.LimitReader(in, 1<<20))
		p.script(c, text)
		return err
	}
	return nil
}

// build makes the program of a Go package.
func (p *packed) build(ctx context.Context, dir, what string) error {
	out, err := os.MkdirTemp("", "thalweg-deploy-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(out)
	program := filepath.Join(out, "bootstrap")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-tags", "lambda.norpc", "-o", program, what)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return hinted{errors.New("deploying Go needs Go, which is not in PATH"), "Build the program elsewhere, call it bootstrap, and deploy that."}
		}
		return fmt.Errorf("go build: %w\n%s", err, bytes.TrimSpace(said))
	}
	text, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	p.runtime = ownRuntime
	p.archive, err = zipOf(map[string][]byte{"bootstrap": text})
	return err
}

// zipOf makes an archive, the same for the same files.
func zipOf(files map[string][]byte) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		head := &zip.FileHeader{Name: name, Method: zip.Deflate}
		head.SetMode(0o755)
		w, err := z.CreateHeader(head)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(files[name]); err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return b.Bytes(), err
}
