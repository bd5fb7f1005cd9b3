package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry"
	"github.com/foggrid/fogd/offchain/registry/copies"
)

// copyFlags are what keeps a registry's content from being lost.
type copyFlags struct {
	copies        []string
	scrubInterval time.Duration
	scrubRate     int
	scrubCopies   bool
	metrics       string
}

const copyHelp = "folder or s3://HOST/BUCKET[/PREFIX] that keeps a copy of all content; may be repeated"

func (f *copyFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.copies, "copy", nil, copyHelp)
	flags.DurationVar(&f.scrubInterval, "scrub-interval", 24*time.Hour, "how often all content is read and compared with its digest; 0: never")
	flags.IntVar(&f.scrubRate, "scrub-rate", 32, "MiB that scrubbing reads a second at most; 0: as fast as it can")
	flags.BoolVar(&f.scrubCopies, "scrub-copies", false, "read the copies too when scrubbing")
	addMetricsFlag(cmd, &f.metrics)
}

func (f *copyFlags) check() error {
	if f.scrubInterval < 0 || f.scrubRate < 0 || f.scrubRate > 1<<20 {
		return usagef("--scrub-interval and --scrub-rate are not negative, and a rate is at most %d MiB a second", 1<<20)
	}
	return nil
}

func (f *copyFlags) open() ([]copies.Store, error) {
	var all []copies.Store
	for _, address := range f.copies {
		s, err := copies.Open(address)
		if err != nil {
			return nil, fmt.Errorf("--copy: %w", err)
		}
		all = append(all, s)
	}
	return all, nil
}

// keep mirrors and scrubs until the context ends.
func (f *copyFlags) keep(ctx context.Context, r *registry.Registry) {
	r.Keep(ctx, f.scrubInterval, f.scrub())
}

func (f *copyFlags) scrub() registry.ScrubOptions {
	return registry.ScrubOptions{BytesPerSecond: f.scrubRate << 20, Copies: f.scrubCopies}
}

func newRegistryRestoreCmd(a *app) *cobra.Command {
	var data, from string
	c := &cobra.Command{
		Use: "restore", Short: "Make an empty folder what a copy of a registry holds", Args: cobra.NoArgs,
		Long: "Fetch repositories, tags and content from a copy that `fog registry serve --copy` kept, each content checked against its digest. Then serve the\n" +
			"folder with the same --copy again. It exits 1 if content is lost: what a repository names and the copy does not have.",
		RunE: func(cmd *cobra.Command, _ []string) error { return a.restoreRegistry(cmd.Context(), data, from) },
	}
	c.Flags().StringVar(&data, "data", "", "folder of the content, empty or not there (default: registry in the home)")
	c.Flags().StringVar(&from, "copy", "", "folder or s3://HOST/BUCKET[/PREFIX] to restore from")
	return c
}

func (a *app) restoreRegistry(ctx context.Context, data, from string) (err error) {
	if from == "" {
		return usagef("--copy is missing: name the folder or bucket to restore from")
	}
	if _, err := os.Stat(from); errors.Is(err, os.ErrNotExist) && !strings.Contains(from, "://") {
		return fmt.Errorf("there is no copy at %s", from)
	}
	if data == "" {
		data = filepath.Join(a.home, "registry")
	}
	s, err := copies.Open(from)
	if err != nil {
		return fmt.Errorf("--copy: %w", err)
	}
	r, err := registry.Open(data, registry.Options{Logger: a.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	report, err := r.Restore(ctx, s, func(repo string) { a.say("restoring %s …", repo) })
	if err != nil {
		return err
	}
	v := struct {
		Data         string            `json:"data"`
		Repositories int               `json:"repositories"`
		Contents     int               `json:"contents"`
		Lost         []artifact.Digest `json:"lost"`
	}{data, report.Repositories, report.Contents, append([]artifact.Digest{}, report.Lost...)}
	if err := a.print(v, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "restored %d repositories with %d contents to %s\n", v.Repositories, v.Contents, v.Data)
		return err
	}); err != nil {
		return err
	}
	if n := len(report.Lost); n > 0 {
		return fmt.Errorf("%d contents are lost, the first is %s; push them again", n, report.Lost[0])
	}
	return nil
}
