package cmd

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/agent/inventory"
	"github.com/foggrid/fogd/offchain/agent/limits"
	"github.com/foggrid/fogd/offchain/agent/nomadclient"
	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/hours"
	"github.com/foggrid/fogd/offchain/secrets"
)

// ownerFlags say when the owner wants the machine.
type ownerFlags struct {
	hours, zone string
	pause       bool
}

func (f *ownerFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.hours, "hours", "", `hours in which the machine works, such as "mon-fri 19:00-07:00; sat,sun 00:00-24:00"; the others are announced as offline`)
	fl.StringVar(&f.zone, "hours-zone", "", "time zone of the hours, such as Europe/Berlin (default: this machine's)")
	fl.BoolVar(&f.pause, "pause-when-in-use", false, "have the node take no new work while somebody uses the machine (Linux)")
}

const ownerHelp = `

With --hours the machine works in these hours only: the agent announces the rest of each week as offline, so that no work is given that could run
into it, and again when the local clock changes to or from summer time ("fog node hours" shows what is announced; single times that you announced stay).
With --pause-when-in-use the node drains while the machine is in use: it takes no new work, finishes what it has, and its services are handed over;
when the machine has been free for ten minutes it takes work again. It is in use if something was typed at a terminal, on it or over the network, in the last
five minutes; if somebody is at a graphical session that does not say that it is idle; or if programs other than the agent and containers take a
quarter of the processors for a minute. Both are said on chain with the key "pricing", or that of --key: allow it to with "fog node grant-pricing",
for --pause-when-in-use with --drain. If it may not, the agent tells you the command to run.`

// terms are nil if the owner reserves nothing.
func (f ownerFlags) terms() (*limits.Terms, error) {
	if f.hours == "" && !f.pause {
		if f.zone != "" {
			return nil, usagef("--hours-zone goes with --hours")
		}
		return nil, nil
	}
	var t limits.Terms
	at, err := inZone(f.zone)
	if err != nil {
		return nil, err
	}
	t.Zone = at.Location()
	if f.hours != "" {
		week, err := hours.Parse(f.hours)
		if err != nil {
			return nil, usagef("--hours: %w", err)
		}
		if week.Minutes() == 0 {
			return nil, usagef("--hours %q leaves no time to work", f.hours)
		}
		t.Work = &week
	}
	if f.pause {
		if !limits.Supported {
			return nil, usagef("--pause-when-in-use is for Linux; here (%s) it is not known whether the machine is in use", runtime.GOOS)
		}
		t.Use = limits.NewProbe()
	}
	return &t, nil
}

// ownerKey gives the terms the key by which the agent speaks for the owner, if there is one.
func (a *app) ownerKey(ctx context.Context, c *chain.Client, t *limits.Terms, key string) error {
	store, err := a.store()
	if err != nil {
		return err
	}
	t.Key = key
	if _, err := store.Key(ctx, key); errors.Is(err, secrets.ErrNotFound) && key == keyPricing {
		return nil
	}
	sender, err := a.sender(ctx, c, key)
	if err != nil {
		return err
	}
	t.Sender = sender
	return nil
}

// lend turns what tasks may have of the machine, if it is given, into what its Nomad client leaves alone.
func lend(ctx context.Context, f agentFlags, dir string, o *nomadclient.Options) error {
	milli, memory, err := f.share()
	if err != nil || milli == 0 && memory == 0 {
		return err
	}
	inv, err := inventory.Collect(ctx, dir)
	if err != nil {
		return err
	}
	if memory > 0 {
		if memory > inv.MemoryMiB {
			return usagef("--memory is %d MiB; this machine has %d", memory, inv.MemoryMiB)
		}
		o.ReservedMiB = max(o.ReservedMiB, inv.MemoryMiB-memory)
	}
	if milli == 0 {
		return nil
	}
	cores := int(milli) / 1000
	if milli%1000 != 0 || cores > inv.Cores {
		return usagef("--cpus %s with --nomad: Nomad reserves whole cores, of which this machine has %d", f.cpus, inv.Cores)
	}
	if cores < inv.Cores {
		o.ReservedCores = strconv.Itoa(cores)
		if last := inv.Cores - 1; last > cores {
			o.ReservedCores = fmt.Sprintf("%d-%d", cores, last)
		}
	}
	return nil
}
