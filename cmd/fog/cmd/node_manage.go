package cmd

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/nodeclient"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func newNodeStatusCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "status [ID]", Short: "Show a node and what runs on it", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.nodeStatus(cmd.Context(), args) },
	}
}

func (a *app) nodeStatus(ctx context.Context, args []string) error {
	id, err := a.nodeID(args)
	if err != nil {
		return err
	}
	ch, err := a.chain(ctx)
	if err != nil {
		return err
	}
	v, err := a.readNode(ctx, ch, id)
	if err != nil {
		return err
	}
	return a.print(v, func(w io.Writer) error {
		if err := printNode(w, v); err != nil || len(v.running) == 0 {
			return err
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
		rows := [][]string{{"RUNNING", "SLICE", "TASKS", "ATTEMPT", "PRICE A TASK-HOUR", "SINCE"}}
		for _, s := range v.running {
			rows = append(rows, []string{s.JobId, num(uint64(s.Number)), taskRange(s), num(uint64(s.Attempt)), fog(s.AgreedPrice), when(s.MatchedTime)})
		}
		return table(w, rows)
	})
}

// taskRange names the tasks of a slice.
func taskRange(s jobstypes.Slice) string {
	if s.TaskCount == 1 {
		return num(uint64(s.FirstTask))
	}
	return fmt.Sprintf("%d-%d", s.FirstTask, uint64(s.FirstTask)+uint64(s.TaskCount)-1)
}

func newEarningsCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "earnings", Short: "Show what the provider has and has earned", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			owner, err := a.address(cmd.Context(), "")
			if err != nil {
				return err
			}
			ch, err := a.chain(cmd.Context())
			if err != nil {
				return err
			}
			e, err := (&nodeclient.Client{Chain: ch}).Earnings(cmd.Context(), owner)
			if err != nil {
				return err
			}
			return a.print(e, func(w io.Writer) error { return printEarnings(w, e) })
		},
	}
}

func printEarnings(w io.Writer, e nodeclient.Earnings) error {
	if err := fields(w, "provider", e.Owner, "account", e.Account, "balance", fog(e.Balance), "locked", fog(e.Locked),
		"free to withdraw", fog(e.Free), "paid for work", fog(e.Paid)); err != nil || len(e.Nodes) == 0 {
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	rows := [][]string{{"NODE", "STATUS", "PAID", "WORKED", "TASKS", "SUCCEEDED", "LOST"}}
	for _, n := range e.Nodes {
		rows = append(rows, []string{
			n.NodeID, strings.TrimPrefix(n.Status, "NODE_STATUS_"), fog(n.Paid), millis(n.WorkMS), num(n.Tasks), num(n.Success), num(n.Lost),
		})
	}
	return table(w, rows)
}

// change is what a simple command sends, and what it then says.
type change func(owner, node string) (msg sdk.Msg, done string)

func drainNode(owner, node string) (sdk.Msg, string) {
	return &nodestypes.MsgDrainNode{Owner: owner, NodeId: node}, "drains: it finishes what it has and takes no more"
}

func resumeNode(owner, node string) (sdk.Msg, string) {
	return &nodestypes.MsgResumeNode{Owner: owner, NodeId: node}, "resumes; see `fog node status`"
}

func retireNode(owner, node string) (sdk.Msg, string) {
	return &nodestypes.MsgRetireNode{Owner: owner, NodeId: node}, "is retired; its deposit is free (`fog node withdraw`)"
}

// sent is the result of a command that sent one transaction.
type sent struct {
	NodeID string `json:"node_id,omitempty"`
	JobID  string `json:"job_id,omitempty"`
	Height int64  `json:"height"`
	TxHash string `json:"tx_hash"`
}

func (a *app) nodeChange(use, text string, message change) *cobra.Command {
	return &cobra.Command{
		Use: use + " [ID]", Short: text, Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.sendNodeChange(cmd.Context(), args, func(_ context.Context, c *nodeclient.Client, id string) (sdk.Msg, string, error) {
				msg, done := message(c.Sender.Address(), id)
				return msg, done, nil
			})
		},
	}
}

func (a *app) sendNodeChange(
	ctx context.Context, args []string, message func(context.Context, *nodeclient.Client, string) (sdk.Msg, string, error),
) error {
	id, err := a.nodeID(args)
	if err != nil {
		return err
	}
	c, err := a.nodeClient(ctx)
	if err != nil {
		return err
	}
	msg, done, err := message(ctx, c, id)
	if err != nil {
		return err
	}
	res, err := c.Sender.Send(ctx, msg)
	if err != nil {
		return err
	}
	return a.print(sent{NodeID: id, Height: res.Height, TxHash: res.Hash}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s %s\n", id, done)
		return err
	})
}

func newUpdatePriceCmd(a *app) *cobra.Command {
	var prices priceFlags
	cmd := &cobra.Command{
		Use: "update-price [ID]", Short: "Change prices for matches to come; those not given stay", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if prices == (priceFlags{}) {
				return usagef("which price? give at least one of --price-cpu, --price-memory, --price-storage and --price-gpu")
			}
			if err := prices.over(&nodestypes.Prices{}); err != nil {
				return err
			}
			return a.sendNodeChange(cmd.Context(), args, func(ctx context.Context, c *nodeclient.Client, id string) (sdk.Msg, string, error) {
				node, err := c.Node(ctx, id)
				if err != nil {
					return nil, "", err
				}
				if err := prices.over(&node.Prices); err != nil {
					return nil, "", err
				}
				return &nodestypes.MsgUpdateNode{Owner: c.Sender.Address(), NodeId: id, Prices: &node.Prices}, "has its new prices", nil
			})
		},
	}
	prices.add(cmd)
	return cmd
}

func newUpdateNodeCmd(a *app) *cobra.Command {
	var location, volumes string
	var names []string
	var reach reachFlags
	cmd := &cobra.Command{
		Use: "update [ID]", Short: "Change what a node declares of itself: where it stands, what it runs, where its services are reached", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			where, err := parseLocation(location)
			if err != nil {
				return err
			}
			engines, err := parseEngines(names)
			if err != nil {
				return err
			}
			ports, err := parsePorts(reach.ports)
			if err != nil {
				return err
			}
			if volumes != "" && volumes != volumesDisk && volumes != volumesMemory {
				return usagef("--volumes is %q; it must be %s or %s", volumes, volumesDisk, volumesMemory)
			}
			if where == nil && len(engines) == 0 && ports == nil && reach.address == "" && volumes == "" {
				return usagef("update what? give --location LATITUDE,LONGITUDE, --engines wasm,docker, --volumes disk, --address HOST or --ports FROM-TO (prices: fog node update-price)")
			}
			return a.sendNodeChange(cmd.Context(), args, func(ctx context.Context, c *nodeclient.Client, id string) (sdk.Msg, string, error) {
				msg := &nodestypes.MsgUpdateNode{
					Owner: c.Sender.Address(), NodeId: id, Location: where, Engines: engines, Address: reach.address, Ports: ports,
				}
				return msg, "is updated", updateVolumes(ctx, c, volumes, msg)
			})
		},
	}
	cmd.Flags().StringVar(&location, "location", "", locationUsage)
	reach.add(cmd)
	cmd.Flags().StringVar(&volumes, "volumes", "", "where volumes of services are from the agent's next start on: disk or memory")
	cmd.Flags().StringSliceVar(&names, "engines", nil, "all that the machine runs from now on, such as wasm,docker")
	return cmd
}

func newProviderWithdrawCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "withdraw [AMOUNT]", Short: "Send what is free in the provider account to the wallet, all of it unless an amount is given",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			amount := uint64(0)
			if len(args) > 0 {
				v, err := jobfile.ParseUfog(args[0])
				if err != nil || v == 0 {
					return usagef("amount %q: write it like 0.5FOG or 500000ufog, more than zero", args[0])
				}
				amount = uint64(v)
			}
			return a.withdrawEarnings(cmd.Context(), amount)
		},
	}
}

func (a *app) withdrawEarnings(ctx context.Context, amount uint64) error {
	c, err := a.nodeClient(ctx)
	if err != nil {
		return err
	}
	account, err := c.Account(ctx, c.Sender.Address())
	if err != nil {
		return err
	}
	if amount > account.Free() {
		return fmt.Errorf("%s is more than is free in the provider account: %s of %s, the rest is locked for nodes and running work; withdraw less, or retire nodes",
			fog(amount), fog(account.Free()), fog(account.Balance))
	}
	withdrawn := uint64(0)
	switch {
	case amount == 0 && account.Free() > 0:
		withdrawn, err = jobclient.WithdrawFree(ctx, c.Chain, c.Sender, account.Id)
	case amount > 0:
		var res *chain.TxResult
		res, err = c.Sender.Send(ctx, &escrowtypes.MsgWithdraw{Owner: c.Sender.Address(), Account: account.Id, Amount: escrowtypes.Coin(amount)})
		if err == nil && res.Code == 0 {
			withdrawn = amount
		}
	}
	if err != nil {
		return err
	}
	return a.printWithdrawn(account.Id, withdrawn)
}

func (a *app) printWithdrawn(account string, withdrawn uint64) error {
	v := struct {
		Account   string `json:"account"`
		Withdrawn uint64 `json:"withdrawn"`
	}{account, withdrawn}
	return a.print(v, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s went from %s to the wallet\n", fog(withdrawn), account)
		return err
	})
}
