package cmd

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/demo"
	"github.com/foggrid/fogd/offchain/devnet"
)

// newDemoCmd is `fog demo`.
func newDemoCmd(a *app) *cobra.Command {
	var opts demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run one real job on a fresh devnet and check every ufog",
		Long: "Run one real job on a fresh devnet in a temporary folder: this machine is benchmarked, registered and verified by a " +
			"quorum of oracles; a job is funded, matched, run, attested, paid, and its result checked against the chain. Nothing is left running.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			fogd, err := devnet.Program("fogd", "FOGD")
			if err != nil {
				return err
			}
			self, err := os.Executable()
			if err != nil {
				return err
			}
			opts.Fogd, opts.Fog = fogd, self
			opts.Timeline, opts.Noise = a.stderr, io.Discard
			if a.quiet {
				opts.Timeline = io.Discard
			}
			report, path, err := demo.Run(cmd.Context(), opts)
			if err != nil {
				return err
			}
			return a.print(report, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "the job completed, its result is the one on chain, no ufog was lost or made (%.0f s); report: %s\n", report.Seconds, path)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&opts.JobFile, "job", "examples/wordcount/fog.yaml", "job file to run")
	cmd.Flags().StringVarP(&opts.Out, "out", "o", "build/demo", "folder for report.json and the result")
	cmd.Flags().IntVar(&opts.Oracles, "oracles", 4, "oracles of the devnet")
	cmd.Flags().BoolVar(&opts.Keep, "keep", false, "keep the devnet's folder with its logs")
	return cmd
}
