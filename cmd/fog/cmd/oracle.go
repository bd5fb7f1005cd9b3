package cmd

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/gateway/gwclient"
	"github.com/foggrid/fogd/offchain/oracle"
	registryclient "github.com/foggrid/fogd/offchain/registry/client"
	"github.com/foggrid/fogd/offchain/secrets"
)

// Names of keys in the store that have one use.
const (
	keyFeeder         = "feeder"
	keyOperator       = "operator"
	transportOracle   = "transport"
	transportAgent    = "agent"
	oracleListenOnAll = "0.0.0.0:9700"
)

// oracleFlags of `fog oracle run`.
type oracleFlags struct {
	listen, operator        string
	pingInterval, startTime time.Duration
	dispatcher              string
	nomad                   nomadFlags
	// tokenLease names the credential with which Nomad is reached.
	tokenLease string
	metrics    string
}

func newOracleCmd(a *app) *cobra.Command {
	var f oracleFlags
	run := &cobra.Command{
		Use: "run", Short: "Follow the chain, measure and ping nodes, match, and attest, until it is interrupted", Args: cobra.NoArgs,
		Long: `Follow the chain, measure and ping nodes, match, and attest, until it is interrupted.

The feeder's key signs the attestations ("feeder" unless --key is given); the key "transport" proves the oracle to agents, and its public
half (fog keys transport transport) is in the oracle's record on chain. With --secrets vault both are in Vault; while that cannot be reached, an
oracle that starts waits, and one that runs goes on. fog oracle rotate-key replaces the feeder's key while the oracle runs.

With --dispatcher nomad this oracle also has the tasks run of nodes that are registered with a Nomad region (attribute nomad.region), and watches
them there. It needs access to every such region, or its votes are outnumbered.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key := keyFeeder
			if cmd.Flags().Changed("key") || cmd.Flags().Changed("from") {
				key = a.profile.Key
			}
			return a.runOracle(cmd.Context(), f, key)
		},
	}
	run.Flags().StringVar(&f.listen, "listen", oracleListenOnAll, "host:port on which agents dial in; the chain's record holds the public one")
	run.Flags().StringVar(&f.operator, "operator", "", "address (fog1…) of the oracle that the feeder attests for (default: the profile's)")
	run.Flags().DurationVar(&f.pingInterval, "ping-interval", 30*time.Second, "pause between two liveness tests of a node")
	run.Flags().DurationVar(&f.startTime, "start-timeout", 120*time.Second, "how long an agent may take to start a slice")
	run.Flags().StringVar(&f.dispatcher, "dispatcher", dispatcherNone, "none: agents run all tasks; nomad: those of nodes with a Nomad region run there")
	f.nomad.addAccess(run)
	run.Flags().StringVar(&f.tokenLease, "nomad-token-lease", "", "lease of the secrets that gives the ACL token, such as nomad; it is renewed and replaced while the oracle runs")
	run.Flags().StringVar(&f.metrics, "metrics-listen", "", "host:port for /metrics in Prometheus' format, without access control: of how Vault is reached (default: none)")
	f.nomad.addRunner(run)
	f.nomad.addPull(run)

	var round uint64
	replay := &cobra.Command{
		Use: "replay", Short: "Recompute a match from archived state and compare it with what a quorum accepted", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if round == 0 {
				return usagef("which round? give --round N")
			}
			return a.replayRound(cmd.Context(), round)
		},
	}
	replay.Flags().Uint64Var(&round, "round", 0, "number of the match round")
	return group("oracle", "Run an oracle, or check what oracles decided", run, replay, newRotateKeyCmd(a), newPushRunnerCmd(a))
}

func (a *app) runOracle(ctx context.Context, f oracleFlags, key string) error {
	if f.operator == "" {
		f.operator = a.profile.Operator
	}
	if f.operator == "" {
		return usagef("whose oracle is this? give --operator fog1…")
	}
	desk, err := a.desk(f.nomad, f.dispatcher)
	if err != nil {
		return err
	}
	if f.tokenLease != "" && desk == nil {
		return usagef("--nomad-token-lease needs --dispatcher %s", dispatcherNomad)
	}
	store, err := a.store()
	if err != nil {
		return err
	}
	if f.metrics != "" {
		var collectors []prometheus.Collector
		if c, ok := store.(prometheus.Collector); ok {
			collectors = append(collectors, c)
		}
		if err := a.serveMetrics(ctx, "--metrics-listen", f.metrics, collectors...); err != nil {
			return err
		}
	}
	var feeder secrets.Key
	var transport ed25519.PrivateKey
	if err := secrets.Await(ctx, a.log, func() (err error) {
		if feeder, err = secrets.AnyKey(ctx, store, key); err == nil {
			transport, err = secrets.EnsureTransportKey(ctx, store, transportOracle)
		}
		return err
	}); err != nil {
		return a.keyError(key, err)
	}
	client, err := a.dialChain()
	if err != nil {
		return err
	}
	var tokens *gwclient.Tokens
	registry, err := a.dialRegistry(func(g *gwclient.Client) (registryclient.TokenSource, error) {
		tokens = a.oracleTokens(g, feeder)
		return tokens, nil
	})
	if err != nil {
		return err
	}
	if desk != nil && tokens != nil {
		desk.Pull = f.nomad.byTickets(tokens)
		if desk.GatewayCA, err = a.authorities(); err != nil {
			return err
		}
	}
	lis, err := net.Listen("tcp", f.listen)
	if err != nil {
		return hint(err, "choose another --listen; port 0 takes a free one")
	}
	lend, err := leaseToken(store, desk, f.tokenLease, a.log)
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	worker, err := oracle.New(oracle.Config{
		Chain: client, Operator: f.operator, Feeder: feeder, TransportKey: transport, Listener: lis, Registry: registry,
		PingInterval: f.pingInterval, StartTimeout: f.startTime, Nomad: desk, Log: a.log,
		FindFeeder: func(ctx context.Context, address string) (chain.Signer, error) {
			found, _, err := findFeeder(ctx, store, key, address)
			return found, err
		},
	})
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	a.log.Info("oracle starts", "operator", f.operator, "listen", lis.Addr().String(), "chain", a.profile.GRPC, "registry", a.profile.Registry)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return lend.keep(ctx) })
	g.Go(func() error {
		if err := lend.wait(ctx); err != nil {
			return errors.Join(err, lis.Close())
		}
		return worker.Run(ctx)
	})
	return g.Wait()
}

func (a *app) replayRound(ctx context.Context, round uint64) error {
	chain, err := a.chain(ctx)
	if err != nil {
		return err
	}
	replay, err := oracle.ReplayRound(ctx, chain, round)
	if err != nil {
		return fmt.Errorf("replay round %d: %w", round, err)
	}
	if err := a.print(replay, func(w io.Writer) error {
		text := "identical"
		if !replay.Identical {
			text = replay.Difference
		}
		_, err := fmt.Fprintln(w, text)
		return err
	}); err != nil {
		return err
	}
	if !replay.Identical {
		return errSilent
	}
	return nil
}
