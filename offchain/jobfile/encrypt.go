package jobfile

import (
	"encoding/json"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/seal"
	"github.com/foggrid/fogd/offchain/secrets"
)

// EncryptSpec says that inputs and results are encrypted, see offchain/seal. The inputs are a sealed archive then, and Spec.Inputs is its digest.
type EncryptSpec struct {
	// Recipient is the developer's public key (age1…), which opens inputs and results.
	Recipient string `json:"recipient"`
	// InputsKey is the path of the owner's secret with the private key that opens the inputs on a node; empty if there are none.
	InputsKey string `json:"inputs_key"`
}

// check holds the rules of specs.
func (e *EncryptSpec) check(l *problemList, s Spec) {
	if e == nil {
		return
	}
	if _, err := seal.ParseRecipient(e.Recipient); err != nil {
		l.addErr("encrypt.recipient", err)
	}
	switch {
	case s.Inputs.IsZero() && e.InputsKey != "":
		l.add("encrypt.inputs_key", "is given, and there are no inputs; remove it")
	case !s.Inputs.IsZero():
		if err := secrets.CheckJobPath(e.InputsKey); err != nil {
			l.addErr("encrypt.inputs_key", err)
		}
	}
	if s.Service != nil {
		l.add("encrypt", "is for jobs whose tasks end with a result, and this is a service; remove it")
	}
}

func (e *EncryptSpec) canonical() json.RawMessage {
	return canonicalObject(map[string]json.RawMessage{"recipient": canonicalString(e.Recipient), "inputs_key": canonicalString(e.InputsKey)})
}

// SealedSpec makes the spec of a valid file with encrypt. The digest of the inputs is that of the sealed archive.
func (f *File) SealedSpec(module, inputs artifact.Digest, e EncryptSpec) (Spec, error) {
	return f.spec(module, inputs, &e)
}

// SecretPaths are the owner's secrets that a node needs for the spec, in the order in which it is lent them: those of the tasks, then the key
// of the inputs, if they are encrypted.
func (s Spec) SecretPaths() []string {
	paths := make([]string, 0, len(s.Secrets)+1)
	for _, ref := range s.Secrets {
		paths = append(paths, ref.Path)
	}
	if s.Encrypt != nil && s.Encrypt.InputsKey != "" {
		paths = append(paths, s.Encrypt.InputsKey)
	}
	return paths
}

// SealedInputs tells whether the inputs have to be opened with a key.
func (s Spec) SealedInputs() bool { return s.Encrypt != nil && !s.Inputs.IsZero() }
