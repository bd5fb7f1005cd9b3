package cmd

import (
	"log/slog"

	"github.com/foggrid/fogd/offchain/oracle/nomaddesk"
	"github.com/foggrid/fogd/offchain/secrets"
)

// fieldToken is that of Nomad's credentials in Vault which holds the token.
const fieldToken = "secret_id"

// leaseToken gives the regions of a desk that have no token of their own one that is lent.
func leaseToken(store secrets.Store, desk *nomaddesk.Options, name string, log *slog.Logger) (*loan, error) {
	l, err := newLoan(store, "--nomad-token-lease", name, log, fieldToken)
	if err != nil || name == "" {
		return l, err
	}
	for i := range desk.Regions {
		if desk.Regions[i].Token == "" {
			desk.Regions[i].TokenSource = func() string { return l.field(fieldToken) }
		}
	}
	return l, nil
}
