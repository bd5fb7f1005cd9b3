package cmd

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/offchain/hours"
	"github.com/foggrid/fogd/offchain/nodeclient"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

const nodeHoursHelp = `Show and announce when a node is offline.

What is announced ahead costs a node nothing: while it is offline as announced it loses no uptime, and going is no transition that jails. In
return it gets no work that could run into those hours, and services leave it before; a node that is announced to be offline for much of each week
takes none. New hours hold from the lead on that the chain asks for (an hour by default); until then the hours before them do. Work that the node was
given before it announced them has to be finished all the same.

    fog node hours                                           what is announced
    fog node hours weekly --work "mon-fri 19:00-07:00; sat,sun 00:00-24:00"
    fog node hours weekly --offline "sun 02:00-04:00" --zone UTC
    fog node hours span --from "2026-12-24 12:00" --to "2026-12-27 09:00"
    fog node hours clear

Times are by this machine's clock unless --zone says otherwise. The chain counts in UTC: when your clock changes to or from summer time, announce
weekly hours again, or let "fog agent run --hours" do it.`

func newNodeHoursCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "hours [ID]", Short: "Show and announce when a node is offline", Long: nodeHoursHelp, Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.nodeHours(cmd.Context(), args) },
	}
	cmd.AddCommand(newWeeklyHoursCmd(a), newHoursSpanCmd(a), newClearHoursCmd(a))
	return cmd
}

// hoursView is what a node is announced to do.
type hoursView struct {
	NodeID string `json:"node_id"`
	// Offline now, and from when on next, as a Unix second; zero if never.
	Offline     bool  `json:"offline"`
	NextOffline int64 `json:"next_offline"`
	// Weekly hours as announced last, in UTC and by the local clock.
	Weekly      string `json:"weekly_utc"`
	WeeklyLocal string `json:"weekly_local"`
	// Percent of the week that they take.
	Percent uint32            `json:"percent_of_week"`
	Spans   []nodestypes.Span `json:"spans"`
	// Changing is the Unix second until which hours before the last change hold; zero if none do.
	Changing int64 `json:"changing_until"`
}

func viewHours(n nodestypes.Node, now time.Time) hoursView {
	at := now.Unix()
	h := nodeclient.Coming(n.OfflineHours(), at)
	week := hours.OfWeekly(h.Weekly)
	v := hoursView{
		NodeID: n.Id, Offline: n.AbsentAt(at), Weekly: week.String(), WeeklyLocal: week.In(now).String(), Percent: n.OfflinePercent(),
		Spans: append([]nodestypes.Span{}, h.Spans...),
	}
	v.NextOffline, _ = n.NextAbsence(at)
	for _, absence := range n.Absences {
		if absence.Until > at || absence.Since > at {
			v.Changing = max(v.Changing, absence.Until, absence.Since)
		}
	}
	return v
}

// String is what a node is announced to do, in a line.
func (v hoursView) String() string {
	text := ""
	switch {
	case v.Offline:
		text = "offline now, as announced"
	case v.NextOffline > 0:
		text = "offline from " + when(v.NextOffline)
	default:
		return "no offline hours announced"
	}
	if v.WeeklyLocal != "" {
		text += fmt.Sprintf("; each week %s (%d %%)", v.WeeklyLocal, v.Percent)
	}
	if len(v.Spans) > 0 {
		text += "; " + some(uint64(len(v.Spans)), "single span")
	}
	return text
}

func (a *app) nodeHours(ctx context.Context, args []string) error {
	id, err := a.nodeID(args)
	if err != nil {
		return err
	}
	ch, err := a.chain(ctx)
	if err != nil {
		return err
	}
	n, err := (&nodeclient.Client{Chain: ch}).Node(ctx, id)
	if err != nil {
		return err
	}
	v := viewHours(n, time.Now())
	return a.print(v, func(w io.Writer) error {
		changing := ""
		if v.Changing > 0 {
			changing = "hours from before the last change hold until " + when(v.Changing)
		}
		if err := fields(w, "node", v.NodeID, "announced", v.String(), "weekly, UTC", v.Weekly, "weekly, local", v.WeeklyLocal, "changing", changing); err != nil {
			return err
		}
		for _, s := range v.Spans {
			if _, err := fmt.Fprintf(w, "offline from %s to %s\n", when(s.From), when(s.To)); err != nil {
				return err
			}
		}
		return nil
	})
}

// announce sends hours made of the node's present ones.
func (a *app) announce(ctx context.Context, args []string, change func(nodestypes.OfflineHours) (nodestypes.OfflineHours, error)) error {
	return a.sendNodeChange(ctx, args, func(ctx context.Context, c *nodeclient.Client, id string) (sdk.Msg, string, error) {
		n, err := c.Node(ctx, id)
		if err != nil {
			return nil, "", err
		}
		p, err := c.Params(ctx)
		if err != nil {
			return nil, "", err
		}
		h, err := change(nodeclient.Coming(n.OfflineHours(), time.Now().Unix()))
		if err != nil {
			return nil, "", err
		}
		since := time.Now().Add(time.Duration(p.HoursLead) * time.Second).Truncate(time.Second)
		msg, err := nodeclient.Announce(n, h, c.Sender.Address())
		return msg, fmt.Sprintf("has announced its hours; what is new in them holds from about %s on", since.Format(time.DateTime)), err
	})
}

func newWeeklyHoursCmd(a *app) *cobra.Command {
	var work, offline, zone string
	cmd := &cobra.Command{
		Use: "weekly [ID]", Short: "Announce the offline hours of each week in the place of those before; spans stay", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (work == "") == (offline == "") {
				return usagef("when? give either --work or --offline: %s", hours.Syntax)
			}
			at, err := inZone(zone)
			if err != nil {
				return err
			}
			week, err := offlineWeek(work, offline, at)
			if err != nil {
				return err
			}
			return a.announce(cmd.Context(), args, func(h nodestypes.OfflineHours) (nodestypes.OfflineHours, error) {
				h.Weekly = week.Weekly()
				return h, h.Validate()
			})
		},
	}
	cmd.Flags().StringVar(&work, "work", "", "hours in which the node works; the rest of the week it is offline")
	cmd.Flags().StringVar(&offline, "offline", "", "hours in which the node is offline")
	cmd.Flags().StringVar(&zone, "zone", "", "time zone of the hours, such as Europe/Berlin or UTC (default: this machine's)")
	return cmd
}

// inZone is now by the clock of a zone; empty is the machine's.
func inZone(zone string) (time.Time, error) {
	place, err := time.LoadLocation(cmp.Or(zone, "Local"))
	if err != nil {
		return time.Time{}, usagef("--zone %q: %w", zone, err)
	}
	return time.Now().In(place), nil
}

// offlineWeek reads either of two flags; the week is by UTC.
func offlineWeek(work, offline string, at time.Time) (hours.Week, error) {
	flag, text := "offline", offline
	if work != "" {
		flag, text = "work", work
	}
	week, err := hours.Parse(text)
	if err != nil {
		return week, usagef("--%s: %w", flag, err)
	}
	if work != "" {
		week = week.Not()
	}
	if week.Minutes() == len(week) {
		return week, usagef("--%s %q leaves no time to work; drain or retire a node that is never there", flag, text)
	}
	return week.UTC(at), nil
}

func newHoursSpanCmd(a *app) *cobra.Command {
	var from, to, zone string
	cmd := &cobra.Command{
		Use: "span [ID]", Short: "Announce one time for which the node will be offline, besides the hours announced before", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := inZone(zone)
			if err != nil {
				return err
			}
			span, err := parseHoursSpan(from, to, at.Location())
			if err != nil {
				return err
			}
			return a.announce(cmd.Context(), args, func(h nodestypes.OfflineHours) (nodestypes.OfflineHours, error) {
				return nodeclient.WithSpan(h, span)
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", `when it begins, such as "2026-12-24 12:00" or 2026-12-24T12:00:00Z`)
	cmd.Flags().StringVar(&to, "to", "", "when it ends")
	cmd.Flags().StringVar(&zone, "zone", "", "time zone of times without one, such as Europe/Berlin or UTC (default: this machine's)")
	return cmd
}

func parseHoursSpan(from, to string, zone *time.Location) (nodestypes.Span, error) {
	var span nodestypes.Span
	for _, f := range []struct {
		flag, value string
		to          *int64
	}{{"from", from, &span.From}, {"to", to, &span.To}} {
		at, err := time.ParseInLocation("2006-01-02 15:04", f.value, zone)
		if err != nil {
			at, err = time.Parse(time.RFC3339, f.value)
		}
		if err != nil {
			return span, usagef(`--%s %q is no time; write "2026-12-24 12:00" or 2026-12-24T12:00:00Z`, f.flag, f.value)
		}
		*f.to = at.Unix()
	}
	if span.To <= span.From {
		return span, usagef("--to must be after --from")
	}
	return span, nil
}

func newClearHoursCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "clear [ID]", Short: "Take back all offline hours, weekly ones and spans", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.announce(cmd.Context(), args, func(nodestypes.OfflineHours) (nodestypes.OfflineHours, error) {
				return nodestypes.OfflineHours{}, nil
			})
		},
	}
}
