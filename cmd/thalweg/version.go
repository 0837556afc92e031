package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/thalweg/thalweg/internal/buildinfo"
)

func newVersion() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Tell which build this is", Args: cobra.NoArgs}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		info := buildinfo.Read()
		if output.value == "json" {
			return printJSON(cmd.OutOrStdout(), info)
		}
		_, err := fmt.Fprintln(cmd.OutOrStdout(), info)
		return err
	}
	return cmd
}
