package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"
)

// lending secrets keep credentials that they lend as they are; Vault makes its own.
type lending interface {
	SetLease(ctx context.Context, name string, fields map[string]string) error
}

func newKeysLendCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "lend NAME", Short: "Keep a credential that programs of this home borrow, read from standard input", Args: cobra.ExactArgs(1),
		Long: `Keep a credential that programs of this home borrow by its name, in place of one that was there: a JSON object of texts on standard input, such as
{"username": "fog", "password": "…"} for "fog gateway run --database", whose lease is "postgres", or {"secret_id": "…"} for "fog oracle run --nomad-token-lease NAME".
A program that runs goes on with the credential that it has.`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.lend(cmd.Context(), args[0]) },
	}
}

func (a *app) lend(ctx context.Context, name string) error {
	const most = 64 << 10
	store, err := a.store()
	if err != nil {
		return err
	}
	kept, ok := store.(lending)
	if !ok {
		return usagef("Vault lends what its engines make; see `fog vault apply`")
	}
	raw, err := io.ReadAll(io.LimitReader(a.stdin, most))
	if err != nil {
		return err
	}
	var fields map[string]string
	if err := json.Unmarshal(raw, &fields); err != nil || len(fields) == 0 {
		return errors.New(`standard input is no credential; write a JSON object of texts such as {"username": "fog", "password": "…"}`)
	}
	if err := kept.SetLease(ctx, name, fields); err != nil {
		return err
	}
	v := struct {
		Name   string   `json:"name"`
		Fields []string `json:"fields"`
	}{name, slices.Sorted(maps.Keys(fields))}
	return a.print(v, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "lease %s with the fields %q\n", v.Name, v.Fields)
		return err
	})
}
