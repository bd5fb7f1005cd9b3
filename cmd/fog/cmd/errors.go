package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"

	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/profile"
	"github.com/foggrid/fogd/offchain/secrets"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// Exit codes of fog.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// usageError is a command that was called in a way that it does not know.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// errSilent ends a command that has said all there is to say, with a failure.
var errSilent = errors.New("failed")

var errNoAnswer = errors.New("no answer in time")

// Report writes what went wrong in a command that ran under ctx and returns the exit code of the process.
func Report(ctx context.Context, w io.Writer, err error) int {
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		fmt.Fprintln(w, "fog: interrupted")
		return exitInterrupted
	case ctx.Err() != nil:
		fmt.Fprintln(w, "fog: interrupted:", clean(err))
		return exitInterrupted
	case errors.Is(err, errSilent):
		return exitFailure
	}
	fmt.Fprintln(w, "fog:", clean(err))
	if errors.As(err, new(*usageError)) {
		return exitUsage
	}
	return exitFailure
}

// location is what fmt adds of errors of the SDK: where in its package they were wrapped, which is the same for all.
var location = regexp.MustCompile(` \[\S*errors@v[^ ]+\.go:\d+\]`)

// clean is the text of an error for people.
func clean(err error) string { return location.ReplaceAllString(err.Error(), "") }

// explain adds to an error what the user can do about it, where the packages below cannot know.
func (a *app) explain(err error) error {
	var problems jobfile.Problems
	switch {
	case err == nil, errors.As(err, new(*usageError)), errors.As(err, new(*hinted)), errors.As(err, &problems):
		return err
	case isInsufficient(err):
		return hint(err, "the account of key %q has too little; send it FOG, or give another --key", a.profile.Key)
	case errors.Is(err, sdkerrors.ErrInsufficientFee):
		return hint(err, "raise --gas-price (now %s)", a.profile.GasPrice)
	case errors.Is(err, chain.ErrUnavailable):
		return noChain(a.profile.GRPC, err)
	}
	for _, advice := range []struct {
		when error
		text string
	}{
		{nodestypes.ErrInsufficientDeposit, "raise --deposit"},
		{nodestypes.ErrNotOwner, "sign with the key of the node's owner: --key"},
		{jobstypes.ErrNotOwner, "sign with the key of the job's owner: --key"},
		{escrowtypes.ErrNotOwner, "sign with the key of the account's owner: --key"},
		{escrowtypes.ErrOutflowsPaused, "the chain found its books wrong or governance paused them; nothing can be withdrawn until that is over"},
		{jobstypes.ErrJobClosed, "see `fog job status`"},
	} {
		if errors.Is(err, advice.when) {
			return hint(err, "%s", advice.text)
		}
	}
	return err
}

// isInsufficient tells a wallet that has too little.
func isInsufficient(err error) bool { return errors.Is(err, sdkerrors.ErrInsufficientFunds) }

// hinted is an error with what to do about it.
type hinted struct {
	error
	hint string
}

func (e *hinted) Error() string { return e.error.Error() + "; " + e.hint }
func (e *hinted) Unwrap() error { return e.error }

func hint(err error, format string, args ...any) error {
	return &hinted{err, fmt.Sprintf(format, args...)}
}

func noChain(address string, err error) error {
	return hint(fmt.Errorf("no chain at %s: %w", address, brief(err)),
		"start a development network with `fog devnet up`, or give --grpc and --rpc of a node")
}

func noRegistry(address string, err error) error {
	return hint(fmt.Errorf("no registry at %s: %w", address, brief(err)),
		"start one with `fog registry serve`, or give --registry")
}

// denied tells how to get a token for a registry that wants one.
func denied(p profile.Profile, err error) error {
	if p.Gateway == "" {
		return hint(err, "this registry takes tokens of a gateway: `fog gateway login --gateway URL`")
	}
	return hint(err, "log in with `fog gateway login`, or give a token in $%s", gatewayTokenVariable)
}

// brief is the cause at the bottom of a failed connection, which says it in fewer words.
func brief(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op
	}
	return err
}

// keyError tells how to make a key that is missing.
func (a *app) keyError(name string, err error) error {
	if name == "" {
		name = a.profile.Key
	}
	if errors.Is(err, secrets.ErrNotFound) {
		where := a.home
		if a.profile.Secrets == profile.SecretsVault {
			where = "Vault"
		}
		return hint(fmt.Errorf("there is no key %q in %s", name, where), "make it with `fog keys add %s`, or name another one with --key", name)
	}
	return err
}
