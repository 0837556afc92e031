package main

import (
	"bufio"

	"github.com/spf13/cobra"

	"github.com/thalweg/thalweg/server"
)

func newDump() *cobra.Command {
	return &cobra.Command{
		Use: "dump FILE", Short: "Print what a file of the data folder holds", Args: cobra.ExactArgs(1),
		Long: `dump prints any file that the server writes, frame by frame with its offset, in a
form for people. It reads the file only, also while a server runs, and stops
at the first thing that does not check, which it names with its offset.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			w := bufio.NewWriter(cmd.OutOrStdout())
			err := server.Dump(args[0], w)
			if flush := w.Flush(); err == nil {
				err = flush
			}
			return err
		},
	}
}
