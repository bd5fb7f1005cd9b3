package jobfile

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/secrets"
)

// SecretRef names a secret of the job's owner at the gateway; a spec holds no more of it. A module finds the value in the variable Name, a
// container in the file /run/secrets/Name.
type SecretRef struct {
	Name string `yaml:"name" json:"name" jsonschema:"required,pattern=^[A-Za-z_][A-Za-z0-9_]{0\\,127}$" jsonschema_description:"What the task knows it as: the variable of a module, or of a container the file in /run/secrets."`
	Path string `yaml:"path" json:"path" jsonschema:"required,minLength=1,maxLength=128" jsonschema_description:"What you call it at the gateway, such as shop/db-password (fog secret put)."`
}

func bySecretName(a, b SecretRef) int { return strings.Compare(a.Name, b.Name) }

func sortedSecrets(refs []SecretRef) []SecretRef {
	return slices.SortedFunc(slices.Values(refs), bySecretName)
}

// checkSecrets holds the rules of files and specs.
func checkSecrets(l *problemList, refs []SecretRef, env map[string]string) {
	if len(refs) > dispatch.MaxSecrets {
		l.add("secrets", "has %d entries; use at most %d", len(refs), dispatch.MaxSecrets)
		return
	}
	seen := map[string]bool{}
	for i, r := range refs {
		field := fmt.Sprintf("secrets[%d]", i)
		_, variable := env[r.Name]
		switch {
		case !envExpr.MatchString(r.Name):
			l.add(field+".name", "is %q; use up to 128 letters, digits and _, not starting with a digit", clip(r.Name))
		case strings.HasPrefix(r.Name, "FOG_"):
			l.add(field+".name", "is reserved; use a name that does not start with FOG_")
		case variable:
			l.add(field+".name", "is %s, which env has too; remove one", r.Name)
		case seen[r.Name]:
			l.add(field+".name", "is %s again; remove one", r.Name)
		}
		seen[r.Name] = true
		if err := secrets.CheckJobPath(r.Path); err != nil {
			l.addErr(field+".path", err)
		}
	}
}

func checkSecretsOnNomad(l *problemList, refs []SecretRef, allowed bool) {
	if allowed && len(refs) == 0 {
		l.add("secrets_on_nomad", "is true, and there are no secrets; name some, or remove it")
	}
}

func canonicalSecrets(refs []SecretRef) json.RawMessage {
	items := make([]json.RawMessage, len(refs))
	for i, r := range refs {
		items[i] = canonicalObject(map[string]json.RawMessage{"name": canonicalString(r.Name), "path": canonicalString(r.Path)})
	}
	return canonicalArray(items)
}
