package limits

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/hours"
	"github.com/foggrid/fogd/offchain/nodeclient"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// FileName of the state in the agent's folder.
const FileName = "limits.json"

const (
	// retry is the pause after a message that the chain did not let in, sendTimeout how long one may take.
	retry       = 5 * time.Minute
	sendTimeout = 2 * time.Minute
)

// Chain is what the worker asks; a *nodeclient.Client is one.
type Chain interface {
	Node(ctx context.Context, id string) (nodestypes.Node, error)
	Params(ctx context.Context) (nodestypes.Params, error)
	Granted(ctx context.Context, owner, key string) (change, drain bool, err error)
}

// Sender signs and sends transactions; *chain.Broadcaster is one.
type Sender interface {
	Address() string
	Send(ctx context.Context, msgs ...sdk.Msg) (*chain.TxResult, error)
}

// Looker tells how the machine is used; *Probe is one.
type Looker interface {
	Look(ctx context.Context) (Sample, error)
}

// Terms are what the owner decides.
type Terms struct {
	// Work are the hours in which the machine works, by the clock of Zone; nil leaves hours to the owner.
	Work *hours.Week
	Zone *time.Location
	// Use has the node drain while the machine is in use; nil does not.
	Use Looker
	// Sender is nil if the agent has no key: the owner is then told what to do.
	Sender Sender
	// Key is the name of that key, for what the owner is told.
	Key string
}

// Config of a Worker; fields without a default must be set.
type Config struct {
	Terms
	Chain  Chain
	NodeID string
	// Dir is the agent's folder.
	Dir string
	Log *slog.Logger
	// Every is how often the machine and the node are looked at; 30 s.
	Every time.Duration
	// Now is the clock; time.Now.
	Now func() time.Time
}

// Worker keeps one node to its owner's limits. Make it with New and run it once.
type Worker struct {
	cfg      Config
	presence Presence
	// drained: it was this worker that had the node drain.
	drained bool
	// told are the complaints since something was last done.
	told    map[string]bool
	notTill time.Time
}

// state outlives the agent.
type state struct {
	NodeID  string `json:"node_id"`
	Drained bool   `json:"drained"`
}

// Drained tells whether an earlier worker with this folder has had a node drain and not resume.
func Drained(dir, node string) (bool, error) {
	raw, err := os.ReadFile(filepath.Join(dir, FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var s state
	if err := json.Unmarshal(raw, &s); err != nil {
		return false, fmt.Errorf("%s in %s: %w; remove it, and resume the node yourself if it drains", FileName, dir, err)
	}
	return s.Drained && s.NodeID == node, nil
}

// New takes up the state in the agent's folder.
func New(cfg Config) (*Worker, error) {
	cfg.Every = cmp.Or(cfg.Every, 30*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Zone == nil {
		cfg.Zone = time.Local
	}
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	drained, err := Drained(cfg.Dir, cfg.NodeID)
	if err != nil {
		return nil, err
	}
	return &Worker{cfg: cfg, drained: drained, told: map[string]bool{}}, nil
}

// Run works until the context ends.
func (w *Worker) Run(ctx context.Context) {
	for {
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			w.tell(err.Error(), "the owner's limits cannot be seen to; trying again", "error", err)
		}
		t := time.NewTimer(w.cfg.Every)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
	}
}

// tell complains once of the same thing.
func (w *Worker) tell(what, text string, args ...any) {
	if !w.told[what] {
		w.told[what] = true
		w.cfg.Log.Warn(text, args...)
	}
}

// look compares what is with what shall be, and sends at most one message.
func (w *Worker) look(ctx context.Context) error {
	inUse := false
	if w.cfg.Use != nil {
		sample, err := w.cfg.Use.Look(ctx)
		if err != nil {
			return fmt.Errorf("is the machine in use? %w", err)
		}
		var reason string
		was := w.presence.busy
		if inUse, reason = w.presence.Observe(sample, w.cfg.Now()); inUse != was {
			w.cfg.Log.Info("machine", "in_use", inUse, "reason", reason)
		}
	}
	if w.cfg.Now().Before(w.notTill) {
		return nil
	}
	n, err := w.cfg.Chain.Node(ctx, w.cfg.NodeID)
	if err != nil {
		return err
	}
	if w.cfg.Use != nil || w.drained {
		if sent, err := w.followUse(ctx, n, inUse); sent || err != nil {
			return err
		}
	}
	if w.cfg.Work != nil {
		_, err := w.followHours(ctx, n)
		return err
	}
	return nil
}

// followUse has a node that takes work drain while the machine is in use, and ends that afterwards; never the draining that the owner began.
func (w *Worker) followUse(ctx context.Context, n nodestypes.Node, inUse bool) (sent bool, err error) {
	drains := n.Draining || n.Status == nodestypes.NODE_STATUS_DRAINING
	switch {
	case inUse && !drains && (n.Status == nodestypes.NODE_STATUS_ACTIVE || n.Status == nodestypes.NODE_STATUS_INACTIVE):
		msg, err := nodeclient.Drain(n, w.signer(n))
		if err != nil {
			return false, err
		}
		return w.send(ctx, n, step{msg: msg, done: "the machine is in use: the node drains", command: "fog node drain " + n.Id, drains: true})
	case !inUse && w.drained && drains:
		msg, err := nodeclient.Resume(n, w.signer(n))
		if err != nil {
			return false, err
		}
		return w.send(ctx, n, step{msg: msg, done: "the machine is free: the node takes work again", command: "fog node resume " + n.Id, resumes: true})
	case w.drained && !drains && !inUse:
		return false, w.note(false)
	}
	return false, nil
}

// followHours announces the rest of the week as offline. The offset of the local clock is that of the time from which the announcement holds, so that
// summer time begins and ends at the right hour.
func (w *Worker) followHours(ctx context.Context, n nodestypes.Node) (sent bool, err error) {
	p, err := w.cfg.Chain.Params(ctx)
	if err != nil {
		return false, err
	}
	now := w.cfg.Now()
	holds := now.Add(time.Duration(p.HoursLead) * time.Second).In(w.cfg.Zone)
	have := nodeclient.Coming(n.OfflineHours(), now.Unix())
	want := w.cfg.Work.Not().UTC(holds).Weekly()
	if slices.Equal(have.Weekly, want) {
		return false, nil
	}
	have.Weekly = want
	if err := have.Validate(); err != nil {
		return false, err
	}
	msg, err := nodeclient.Announce(n, have, w.signer(n))
	if err != nil {
		return false, err
	}
	command := fmt.Sprintf("fog node hours weekly %s --work %q", n.Id, w.cfg.Work.String())
	if zone := w.cfg.Zone.String(); zone != time.Local.String() {
		command += " --zone " + zone
	}
	return w.send(ctx, n, step{msg: msg, done: "the node's hours are announced", command: command})
}

func (w *Worker) signer(n nodestypes.Node) string {
	if w.cfg.Sender == nil {
		return n.Owner
	}
	return w.cfg.Sender.Address()
}

// step is something to say on chain, and the command by which the owner would.
type step struct {
	msg             sdk.Msg
	done, command   string
	drains, resumes bool
}

// send sends a message if the agent's key may, else it tells the owner the command; it tells whether it did send one.
func (w *Worker) send(ctx context.Context, n nodestypes.Node, s step) (sent bool, err error) {
	drain := s.drains || s.resumes
	if w.cfg.Sender == nil {
		w.tell(s.command, "the agent has no key to say so on chain; run the command, or make a key and let it", "command", s.command,
			"key", "fog keys add "+w.cfg.Key, "let", "fog node grant-pricing ADDRESS"+flagOf(drain))
		return false, nil
	}
	key := w.cfg.Sender.Address()
	change, mayDrain, err := w.cfg.Chain.Granted(ctx, n.Owner, key)
	if err != nil {
		return false, err
	}
	if drain && !mayDrain || !drain && !change {
		w.tell(s.command, "the agent's key may not say so on chain; run the command, or let the key", "command", s.command,
			"let", "fog node grant-pricing "+key+flagOf(drain))
		return false, nil
	}
	if s.drains { // noted first: should the agent end now, the next one takes back what was done
		if err := w.note(true); err != nil {
			return false, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if _, err := w.cfg.Sender.Send(ctx, s.msg); err != nil {
		w.notTill = w.cfg.Now().Add(retry)
		err = fmt.Errorf("%s: %w", s.command, err)
		var refused *chain.TxError
		if s.drains && errors.As(err, &refused) { // nothing was done
			return true, errors.Join(err, w.note(false))
		}
		return true, err
	}
	clear(w.told)
	w.cfg.Log.Info(s.done)
	if s.resumes {
		return true, w.note(false)
	}
	return true, nil
}

func flagOf(drain bool) string {
	if drain {
		return " --drain"
	}
	return ""
}

// note keeps in mind, over restarts, whether this worker had the node drain.
func (w *Worker) note(drained bool) error {
	if w.drained == drained {
		return nil
	}
	raw, err := json.Marshal(state{NodeID: w.cfg.NodeID, Drained: drained})
	if err != nil {
		return err
	}
	file := filepath.Join(w.cfg.Dir, FileName)
	if err := os.WriteFile(file+".new", append(raw, '\n'), 0o600); err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return err
	}
	w.drained = drained
	return nil
}
