package nomadclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// Client is the Nomad client of this machine. Make it with New and run it once.
type Client struct {
	opts    Options
	file    string
	intro   string
	drained chan bool // whether the node drains on chain; the newest only

	mu   sync.Mutex
	last *bool
}

// New writes the client's configuration; nothing runs yet.
func New(opts Options) (*Client, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	program, err := exec.LookPath(opts.Program)
	if err != nil {
		return nil, fmt.Errorf("nomad client: %w; install Nomad 1.8 or newer, or name the program with --nomad-program", err)
	}
	opts.Program = program
	c := &Client{opts: opts, file: filepath.Join(opts.Dir, "client.json"), drained: make(chan bool, 1)}
	if opts.IntroToken != "" {
		raw, err := os.ReadFile(opts.IntroToken)
		if err != nil {
			return nil, fmt.Errorf("nomad client: intro token: %w", err)
		}
		c.intro = strings.TrimSpace(string(raw))
	}
	raw, err := opts.config()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("nomad client: make its folder: %w", err)
	}
	if len(opts.VolumePlugin) > 0 {
		if err := WritePlugin(filepath.Join(opts.dataDir(), pluginDir), opts.VolumePlugin); err != nil {
			return nil, err
		}
	}
	return c, os.WriteFile(c.file, append(raw, '\n'), 0o600)
}

// Run keeps the client running until the context ends.
func (c *Client) Run(ctx context.Context) error {
	var drains sync.WaitGroup
	drains.Go(func() { c.followDrains(ctx) })
	defer drains.Wait()
	for pause := c.opts.RetryMin; ; {
		began := time.Now()
		err := c.once(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(began) > c.opts.RetryMax {
			pause = c.opts.RetryMin
		}
		c.opts.Log.Error("the Nomad client ended; starting it again", "error", err, "pause", pause, "log", c.logFile())
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
		pause = min(2*pause, c.opts.RetryMax)
	}
}

func (c *Client) logFile() string { return filepath.Join(c.opts.Dir, "client.log") }

// once runs the program to its end.
func (c *Client) once(ctx context.Context) (err error) {
	log, err := os.OpenFile(c.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	cmd := exec.CommandContext(ctx, c.opts.Program, "agent", "-config", c.file) //nolint:gosec // the program that the node's owner named
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = c.opts.StopTimeout
	cmd.Env = os.Environ()
	if c.intro != "" { // as an argument everybody on the machine could read it
		cmd.Env = append(cmd.Env, "NOMAD_CLIENT_INTRO_TOKEN="+c.intro)
	}
	c.opts.Log.Info("the Nomad client starts", "program", c.opts.Program, "config", c.file)
	return cmd.Run()
}

// Follow takes the node as the chain has it: while it drains there, nothing new is placed on the client, and what runs goes on.
func (c *Client) Follow(n nodestypes.Node) {
	drains := n.Draining || n.Status == nodestypes.NODE_STATUS_DRAINING
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != nil && *c.last == drains {
		return
	}
	c.last = &drains
	select {
	case <-c.drained: // older news
	default:
	}
	c.drained <- drains
}

// followDrains tells Nomad, again and again until it takes it.
func (c *Client) followDrains(ctx context.Context) {
	for {
		var drains bool
		select {
		case <-ctx.Done():
			return
		case drains = <-c.drained:
		}
		for pause := c.opts.RetryMin; ; pause = min(2*pause, c.opts.RetryMax) {
			err := c.drain(ctx, drains)
			if err == nil || ctx.Err() != nil {
				break
			}
			level := slog.LevelWarn
			if pause < 8*c.opts.RetryMin { // it has just been started
				level = slog.LevelDebug
			}
			c.opts.Log.Log(ctx, level, "the Nomad client cannot be drained, or taken back, yet", "drain", drains, "error", err)
			if !sleep(ctx, pause) || len(c.drained) > 0 {
				break
			}
		}
	}
}

// drain begins or ends the client's draining, without a deadline: tasks of a batch are left to their end.
func (c *Client) drain(ctx context.Context, on bool) error {
	args := []string{"node", "drain", "-self", "-yes", "-disable"}
	if on {
		args = []string{"node", "drain", "-self", "-yes", "-detach", "-enable", "-no-deadline"}
	}
	cmd := exec.CommandContext(ctx, c.opts.Program, args...) //nolint:gosec // the program that the node's owner named
	cmd.Env = append(os.Environ(), "NOMAD_ADDR=http://"+c.opts.HTTP, "NOMAD_REGION="+c.opts.Place.Region)
	if c.opts.Token != "" {
		cmd.Env = append(cmd.Env, "NOMAD_TOKEN="+c.opts.Token)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("nomad %s: %w: %.500s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	c.opts.Log.Info("the Nomad client follows the node", "drain", on)
	return nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
