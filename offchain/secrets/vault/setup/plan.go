package setup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/foggrid/fogd/offchain/secrets/vault"
)

// Action says what a step does.
type Action string

// The actions of steps. Nothing is ever deleted.
const (
	Create Action = "create"
	Update Action = "update"
)

// Step is one difference between the Vault and the files.
type Step struct {
	Action Action `json:"action"`
	// What is mount, auth, policy or object.
	What string `json:"what"`
	Path string `json:"path"`
	// Changes are lines to read: "- " is what the Vault has, "+ " what it gets.
	Changes []string `json:"changes"`

	apply func(context.Context) error
}

// Plan is all that Apply would do, in order.
type Plan struct {
	Steps []Step `json:"steps"`
	// Unchanged counts what is as it should be.
	Unchanged int `json:"unchanged"`
	// Skipped says what was left out for want of a setting.
	Skipped []string `json:"skipped,omitempty"`
}

// Make compares. It writes nothing, and needs a token that may read what the files name.
func Make(ctx context.Context, c *api.Client, in Input) (Plan, error) {
	w, err := in.read()
	if err != nil {
		return Plan{}, err
	}
	m := maker{client: c, getenv: in.Getenv, plan: Plan{Steps: []Step{}, Skipped: w.skipped}}
	if err := m.mounts(ctx, w.engines); err != nil {
		return Plan{}, err
	}
	if err := m.auths(ctx, w.auths); err != nil {
		return Plan{}, err
	}
	for _, p := range w.policies {
		if err := m.policy(ctx, p); err != nil {
			return Plan{}, err
		}
	}
	for _, o := range w.objects {
		if err := m.object(ctx, o); err != nil {
			return Plan{}, err
		}
	}
	return m.plan, nil
}

// Apply does the steps in order and tells of each that is done.
func (p Plan) Apply(ctx context.Context, done func(Step)) error {
	for _, s := range p.Steps {
		if err := s.apply(ctx); err != nil {
			return fmt.Errorf("%s %s %s: %w; what was done before stays, and applying again goes on from there", s.Action, s.What, s.Path, vault.Brief(err))
		}
		done(s)
	}
	return nil
}

type maker struct {
	client *api.Client
	getenv func(string) string
	plan   Plan
}

// step adds one unless there is nothing to change.
func (m *maker) step(s Step) {
	if s.Action == Update && len(s.Changes) == 0 {
		m.plan.Unchanged++
		return
	}
	m.plan.Steps = append(m.plan.Steps, s)
}

func (m *maker) mounts(ctx context.Context, wanted []mount) error {
	have, err := m.client.Sys().ListMountsWithContext(ctx)
	if err != nil {
		return fmt.Errorf("list the mounts: %w", vault.Brief(err))
	}
	for _, w := range wanted {
		create := func(ctx context.Context) error {
			return m.client.Sys().MountWithContext(ctx, w.Path, &api.MountInput{
				Type: w.Type, Description: w.Description, Options: w.Options, Config: api.MountConfigInput{MaxLeaseTTL: w.Config.MaxLeaseTTL},
			})
		}
		if err := m.mount("mount", w, have[w.Path+"/"], create); err != nil {
			return err
		}
	}
	return nil
}

func (m *maker) auths(ctx context.Context, wanted []mount) error {
	have, err := m.client.Sys().ListAuthWithContext(ctx)
	if err != nil {
		return fmt.Errorf("list the auth methods: %w", vault.Brief(err))
	}
	for _, w := range wanted {
		create := func(ctx context.Context) error {
			return m.client.Sys().EnableAuthWithOptionsWithContext(ctx, w.Path, &api.EnableAuthOptions{Type: w.Type, Description: w.Description})
		}
		if err := m.mount("auth", w, have[w.Path+"/"], create); err != nil {
			return err
		}
	}
	return nil
}

// mount compares one, and makes or tunes it.
func (m *maker) mount(what string, w mount, have *api.MountOutput, create func(context.Context) error) error {
	tune := map[string]any{"description": w.Description}
	if w.Config.MaxLeaseTTL != "" {
		tune["max_lease_ttl"] = w.Config.MaxLeaseTTL
	}
	if have == nil {
		changes := append([]string{"+ type: " + show(w.Type)}, added(tune)...)
		m.step(Step{Action: Create, What: what, Path: w.Path, Changes: changes, apply: create})
		return nil
	}
	if have.Type != w.Type {
		return fmt.Errorf("at %s there is a %s instead of a %s; move it away, since fog deletes nothing", w.Path, have.Type, w.Type)
	}
	if v := w.Options["version"]; v != "" && have.Options["version"] != v {
		return fmt.Errorf("the %s at %s is version %q; it must be %s", w.Type, w.Path, have.Options["version"], v)
	}
	at := "sys/mounts/" + w.Path + "/tune"
	if what == "auth" {
		at = "sys/mounts/auth/" + w.Path + "/tune"
	}
	m.step(Step{
		Action: Update, What: what, Path: w.Path,
		Changes: difference(tune, map[string]any{"description": have.Description, "max_lease_ttl": have.Config.MaxLeaseTTL}),
		apply: func(ctx context.Context) error {
			_, err := m.client.Logical().WriteWithContext(ctx, at, tune)
			return err
		},
	})
	return nil
}

func (m *maker) policy(ctx context.Context, p policy) error {
	have, err := m.client.Sys().GetPolicyWithContext(ctx, p.name)
	if err != nil {
		return fmt.Errorf("read policy %s: %w", p.name, vault.Brief(err))
	}
	s := Step{Action: Update, What: "policy", Path: p.name, Changes: lineDifference(have, p.text)}
	if have == "" {
		s.Action = Create
	}
	s.apply = func(ctx context.Context) error { return m.client.Sys().PutPolicyWithContext(ctx, p.name, p.text) }
	m.step(s)
	return nil
}

func (m *maker) object(ctx context.Context, o object) error {
	at := o.Path
	if o.Once != "" {
		at = o.Once
	}
	have, err := m.client.Logical().ReadWithContext(ctx, at)
	var answer *api.ResponseError
	if errors.As(err, &answer) && (answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusBadRequest) {
		have, err = nil, nil // its mount is still to be made, or the engine says so of what is not there
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", at, vault.Brief(err))
	}
	s := Step{Action: Update, What: "object", Path: o.Path}
	switch {
	case have == nil || len(have.Data) == 0 || o.Once != "" && empty(have.Data["certificate"]):
		s.Action, s.Changes = Create, added(o.Data)
	case o.Once == "":
		s.Changes = difference(o.Data, have.Data)
	}
	for _, field := range slices.Sorted(maps.Keys(o.Secret)) {
		if len(s.Changes) > 0 {
			s.Changes = append(s.Changes, "+ "+field+": (from $"+o.Secret[field]+")")
		}
	}
	s.apply = func(ctx context.Context) error { return m.write(ctx, o) }
	m.step(s)
	return nil
}

func (m *maker) write(ctx context.Context, o object) error {
	data := map[string]any{}
	for k, v := range o.Data {
		if nested, ok := v.(map[string]any); ok && k == "connection_details" { // Vault shows below it what it takes beside it
			maps.Copy(data, nested)
			continue
		}
		data[k] = v
	}
	for field, variable := range o.Secret {
		value := m.getenv(variable)
		if value == "" {
			return fmt.Errorf("%s is not set; set it to the %s", variable, field)
		}
		data[field] = value
	}
	_, err := m.client.Logical().WriteWithContext(ctx, o.Path, data)
	return err
}

// lineDifference shows the lines of two texts that the other one lacks.
func lineDifference(have, want string) []string {
	if strings.TrimSpace(have) == strings.TrimSpace(want) {
		return nil
	}
	var changes []string
	for _, side := range []struct{ mark, text, other string }{{"- ", have, want}, {"+ ", want, have}} {
		left := map[string]int{}
		for line := range strings.Lines(side.other) {
			left[strings.TrimSpace(line)]++
		}
		for line := range strings.Lines(side.text) {
			line = strings.TrimRight(line, "\n")
			if left[strings.TrimSpace(line)]--; left[strings.TrimSpace(line)] < 0 && strings.TrimSpace(line) != "" {
				changes = append(changes, side.mark+line)
			}
		}
	}
	if len(changes) == 0 {
		changes = []string{"+ (the same lines in another order)"}
	}
	return changes
}
