package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/thalweg/thalweg/server"
)

func newFsck() *cobra.Command {
	cmd := &cobra.Command{
		Use: "fsck DIR", Short: "Check every byte of a data folder", Args: cobra.ExactArgs(1),
		Long: `fsck reads all files of a data folder whose server is stopped, checks every
checksum and how the files fit together, and names each thing that is wrong by
file and offset. It changes nothing. It exits with 1 when anything is wrong.`,
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		progress, finish := bar(cmd.ErrOrStderr(), "checking")
		report, err := server.Check(cmd.Context(), args[0], progress)
		finish()
		if err != nil {
			return err
		}
		w := cmd.OutOrStdout()
		if output.value == "json" {
			if err := printJSON(w, report); err != nil {
				return err
			}
		} else {
			for _, p := range report.Problems {
				fmt.Fprintln(w, p)
			}
			for _, n := range report.Notes {
				fmt.Fprintln(w, "note:", n)
			}
			fmt.Fprintf(w, "%s: %d files, %d bytes checked, %d problems\n", args[0], report.Files, report.Bytes, len(report.Problems))
		}
		if len(report.Problems) > 0 {
			return hinted{fmt.Errorf("%s is damaged", args[0]),
				"Nothing was changed. Keep a copy of the folder before anything else is tried, or put back one from before the damage."}
		}
		return nil
	}
	return cmd
}

// bar shows progress on w when that is a terminal: progress is to be called
// with what is done of how much, finish at the end.
func bar(w io.Writer, verb string) (progress func(done, total int64), finish func()) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return func(int64, int64) {}, func() {}
	}
	const width = 40
	shown := -1
	progress = func(done, total int64) {
		percent := 100
		if total > 0 {
			percent = int(100 * done / total)
		}
		if percent == shown {
			return
		}
		shown = percent
		full := width * percent / 100
		fmt.Fprintf(w, "\r%s [%s%s] %3d %%", verb, strings.Repeat("#", full), strings.Repeat(".", width-full), percent)
	}
	return progress, func() { fmt.Fprint(w, "\r\x1b[K") }
}
