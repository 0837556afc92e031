package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/thalweg/thalweg/server"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server until it is told to stop",
		Long: `serve runs the server. Without any setting it listens on 127.0.0.1:4567, takes
any credentials and keeps its data in ./thalweg-data. It prints one line when
it is ready. SIGTERM or Ctrl-C lets requests under way finish; a second one
ends it at once, and nothing that was acknowledged is lost either way.

Each setting is a flag, an environment variable (in brackets) or a key of the
YAML file given by --config; a flag wins over the environment, and that over
the file.`,
		Example: `  thalweg serve
  thalweg serve --ephemeral --limits off
  THALWEG_ACCESS_KEY_ID=me THALWEG_SECRET_ACCESS_KEY=secret thalweg serve --listen 0.0.0.0:4567`,
		Args: cobra.NoArgs,
	}
	addSettings(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := loadSettings(cmd.Flags(), os.Getenv)
		if err != nil {
			return err
		}
		cfg := s.config()
		cfg.Remote.AccessKeyID, cfg.Remote.SecretAccessKey = os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
		cfg.Remote.SessionToken = os.Getenv("AWS_SESSION_TOKEN")
		var level slog.Level
		if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
			return err
		}
		cfg.Logger = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
		cfg.Ready = func(s *server.Server) {
			where := "in memory"
			if !cfg.Ephemeral {
				where = "data in " + cfg.Data
			}
			fmt.Fprintf(cmd.OutOrStdout(), "thalweg is ready on http://%s and https://%[1]s (%s)\n", s.Addr(), where)
		}
		house, err := server.Open(cfg)
		if err != nil {
			return err
		}
		go pace(cmd.Context())
		return house.Run(cmd.Context())
	}
	return cmd
}
