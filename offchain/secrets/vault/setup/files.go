package setup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/foggrid/fogd/offchain/secrets/vault"
)

// Roles are those that programs can have.
var Roles = []string{"oracle", "agent", "gateway", "dispatcher"}

// Program is one that gets access: its role, and the roles whose policies it has beside.
type Program struct {
	Role string
	Also []string
	Name string
}

// ParseProgram reads ROLE[+ROLE]…=NAME.
func ParseProgram(text string) (Program, error) {
	roles, name, ok := strings.Cut(text, "=")
	if !ok {
		return Program{}, fmt.Errorf("%q; write ROLE=NAME, such as oracle=main or oracle+dispatcher=main", text)
	}
	all := strings.Split(roles, "+")
	for i, role := range all {
		if !slices.Contains(Roles, role) {
			return Program{}, fmt.Errorf("%q: unknown role %q; the roles are %s", text, role, strings.Join(Roles, ", "))
		}
		if slices.Contains(all[:i], role) {
			return Program{}, fmt.Errorf("%q names %s twice", text, role)
		}
	}
	if err := vault.CheckIdentity(name); err != nil {
		return Program{}, fmt.Errorf("%q: name %w", text, err)
	}
	return Program{Role: all[0], Also: all[1:], Name: name}, nil
}

// ID is by what the program's role is known to the auth methods.
func (p Program) ID() string { return p.Role + "." + p.Name }

func policyName(role, name string) string { return "fog." + role + "." + name }

// mount is an engine or an auth method.
type mount struct {
	Path        string            `json:"path"`
	Each        []string          `json:"each"`
	Needs       []string          `json:"needs"`
	Type        string            `json:"type"`
	Description string            `json:"description"`
	Options     map[string]string `json:"options"`
	Config      struct {
		MaxLeaseTTL string `json:"max_lease_ttl"`
	} `json:"config"`
}

// object is what is written to one path.
type object struct {
	Path  string   `json:"path"`
	Each  []string `json:"each"`
	Needs []string `json:"needs"`
	// Once names a path: if something is there, the object has been made.
	Once   string            `json:"once"`
	Data   map[string]any    `json:"data"`
	Secret map[string]string `json:"secret"`
}

type policy struct{ name, text string }

// wanted is the state that the files describe.
type wanted struct {
	engines, auths []mount
	policies       []policy
	objects        []object
	skipped        []string
}

// Input says for what a plan is made.
type Input struct {
	// Files are those of deploy/vault.
	Files    fs.FS
	Programs []Program
	// Settings stand in for ${…} in the files.
	Settings map[string]string
	// Getenv reads the environment variables of secret fields.
	Getenv func(string) string
}

func (in Input) read() (w wanted, err error) {
	for _, f := range []struct {
		name string
		to   any
	}{{"mounts.json", &w.engines}, {"auth.json", &w.auths}, {"objects.json", &w.objects}} {
		raw, err := fs.ReadFile(in.Files, f.name)
		if err != nil {
			return w, err
		}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		dec.UseNumber()
		if err := dec.Decode(f.to); err != nil {
			return w, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if w.engines, err = expand(in, &w, w.engines, func(m *mount) (*string, []string, []string) { return &m.Path, m.Each, m.Needs }); err != nil {
		return w, fmt.Errorf("mounts.json: %w", err)
	}
	if w.auths, err = expand(in, &w, w.auths, func(m *mount) (*string, []string, []string) { return &m.Path, m.Each, m.Needs }); err != nil {
		return w, fmt.Errorf("auth.json: %w", err)
	}
	if w.objects, err = expand(in, &w, w.objects, func(o *object) (*string, []string, []string) { return &o.Path, o.Each, o.Needs }); err != nil {
		return w, fmt.Errorf("objects.json: %w", err)
	}
	w.policies, err = in.policies()
	return w, err
}

// expand makes one item for each program and leaves out those whose settings are missing.
func expand[T any](in Input, w *wanted, items []T, parts func(*T) (path *string, each, needs []string)) ([]T, error) {
	var all []T
	for i := range items {
		at, each, needs := parts(&items[i])
		if missing := slices.IndexFunc(needs, func(n string) bool { return in.Settings[n] == "" }); missing >= 0 {
			w.skipped = append(w.skipped, fmt.Sprintf("%s: no setting %s", *at, needs[missing]))
			continue
		}
		programs := []Program{{}}
		if len(each) > 0 {
			programs = slices.DeleteFunc(slices.Clone(in.Programs), func(p Program) bool { return !slices.Contains(each, p.Role) })
		}
		for _, p := range programs {
			item, err := fill(items[i], in.values(p))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", *at, err)
			}
			all = append(all, item)
		}
	}
	return all, nil
}

// values of a program's ${…}; "" is quoted as in JSON without its quotes.
func (in Input) values(p Program) map[string]string {
	values := map[string]string{}
	for k, v := range in.Settings {
		values[k] = v
	}
	if p.Role != "" {
		names := []string{policyName(p.Role, p.Name)}
		for _, also := range p.Also {
			names = append(names, policyName(also, p.Name))
		}
		values["role"], values["name"], values["policies"] = p.Role, p.Name, strings.Join(names, `","`)
	}
	return values
}

var placeholder = regexp.MustCompile(`\$\{([a-z_]+)\}`)

// fill replaces the placeholders in an item by way of its JSON.
func fill[T any](item T, values map[string]string) (filled T, err error) {
	raw, err := json.Marshal(item)
	if err != nil {
		return filled, err
	}
	text, err := replace(string(raw), func(key string) (string, bool) {
		v, ok := values[key]
		if key == "policies" {
			return v, ok // several items of a list
		}
		quoted, err := json.Marshal(v)
		return strings.Trim(string(quoted), `"`), ok && err == nil
	})
	if err != nil {
		return filled, err
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	return filled, dec.Decode(&filled)
}

func replace(text string, value func(string) (string, bool)) (string, error) {
	var unknown error
	text = placeholder.ReplaceAllStringFunc(text, func(m string) string {
		v, ok := value(m[2 : len(m)-1])
		if !ok && unknown == nil {
			unknown = fmt.Errorf("nothing stands for %s; give it as a setting", m)
		}
		return v
	})
	return text, unknown
}

// policies returns those of each program, for each of its roles.
func (in Input) policies() (all []policy, err error) {
	for _, p := range in.Programs {
		for _, role := range append([]string{p.Role}, p.Also...) {
			raw, err := fs.ReadFile(in.Files, path.Join("policies", role+".hcl"))
			if err != nil {
				return nil, err
			}
			text, err := replace(string(raw), func(key string) (string, bool) { return p.Name, key == "name" })
			if err != nil {
				return nil, fmt.Errorf("policies/%s.hcl: %w", role, err)
			}
			added := policy{policyName(role, p.Name), text}
			if slices.ContainsFunc(all, func(other policy) bool { return other.name == added.name }) {
				return nil, errors.New(added.name + " is asked for twice; name each program once")
			}
			all = append(all, added)
		}
	}
	return all, nil
}
