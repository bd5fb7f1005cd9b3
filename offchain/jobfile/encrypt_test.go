package jobfile

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

const recipient = "age1kw6w00kpe6ndyr83r2hz4z74wr4vx40sfc4llyywd7g5gudtq3esv2gay8"

func sealedSpec(t *testing.T) Spec {
	t.Helper()
	f, err := Load("testdata/good/full.yaml")
	require.NoError(t, err)
	f.Encrypt = true
	_, err = f.Spec(oneDigest, zeroOr(true))
	require.ErrorIs(t, err, ErrSpec, "it is not pushed in the clear")
	s, err := f.SealedSpec(oneDigest, zeroOr(true), EncryptSpec{Recipient: recipient, InputsKey: "fog-inputs/ab"})
	require.NoError(t, err)
	return s
}

// As for other specs: a change of the form changes the digests of jobs.
func TestSealedSpec(t *testing.T) {
	s := sealedSpec(t)
	golden := string(s.Canonical())
	member := `"encrypt":{"inputs_key":"fog-inputs/ab","recipient":"` + recipient + `"},`
	require.Contains(t, golden, member)
	require.Equal(t, string(fullSpec(t).Canonical()), strings.Replace(golden, member, "", 1), "nothing else differs")
	back, err := ParseSpec([]byte(golden))
	require.NoError(t, err)
	require.Equal(t, s, back)
	require.True(t, s.SealedInputs())
	for name, to := range map[string]string{
		"null":           `"encrypt":null,`,
		"empty":          `"encrypt":{},`,
		"no recipient":   `"encrypt":{"inputs_key":"fog-inputs/ab","recipient":""},`,
		"upper case":     strings.Replace(member, recipient, strings.ToUpper(recipient), 1),
		"a secret":       strings.Replace(member, recipient, "AGE-SECRET-KEY-1QQQ", 1),
		"no key":         strings.Replace(member, "fog-inputs/ab", "", 1),
		"another's key":  strings.Replace(member, "fog-inputs/ab", "../bob/ab", 1),
		"other order":    `"encrypt":{"recipient":"` + recipient + `","inputs_key":"fog-inputs/ab"},`,
		"unknown":        strings.Replace(member, "{", `{"compare":true,`, 1),
		"other name":     strings.Replace(member, "encrypt", "encrypted", 1),
		"before its age": strings.Replace(member, recipient, recipient[:len(recipient)-1]+"x", 1),
	} {
		_, err := ParseSpec([]byte(strings.Replace(golden, member, to, 1)))
		require.Error(t, err, name)
	}
	bare := s
	bare.Inputs = artifact.Digest{}
	require.ErrorContains(t, bare.Validate(), "encrypt.inputs_key")
	bare.Encrypt = &EncryptSpec{Recipient: recipient}
	require.NoError(t, bare.Validate(), "results alone")
	require.False(t, bare.SealedInputs())
	service := serviceSpec(t)
	service.Encrypt = &EncryptSpec{Recipient: recipient}
	require.ErrorContains(t, service.Validate(), "encrypt")
}

// A node is lent what the tasks need, and then the key.
func TestSecretPaths(t *testing.T) {
	s := Spec{Secrets: []SecretRef{{Name: "A", Path: "x/a"}, {Name: "B", Path: "b"}}}
	require.Equal(t, []string{"x/a", "b"}, s.SecretPaths())
	s.Encrypt = &EncryptSpec{Recipient: recipient}
	require.Equal(t, []string{"x/a", "b"}, s.SecretPaths(), "no inputs")
	s.Inputs, s.Encrypt.InputsKey = zeroOr(true), "fog-inputs/ab"
	require.Equal(t, []string{"x/a", "b", "fog-inputs/ab"}, s.SecretPaths())
}

// Encrypted results are never the same twice. So nothing may compare those of replicas, of reruns, or with what a module says: there is no way to
// ask for it, here or on the chain. Whoever adds one refuses it together with encrypt, and says so here (ADR 0029).
func TestNothingComparesResults(t *testing.T) {
	const file = "version: 1\nname: x\nmodule: x.wasm\nprice: {cap_per_task_hour: 1FOG}\nmax_duration: 1m\nencrypt: true\n"
	_, err := Parse([]byte(file))
	require.NoError(t, err)
	for _, line := range []string{"deterministic: true", "spot_checks: true", "verifier: check.wasm", "verify: check.wasm", "redundancy: 3", "agree: 2", "quorum: 2"} {
		_, err := Parse([]byte(file + line + "\n"))
		require.ErrorContains(t, err, "is not a field", line)
	}
	_, err = Parse([]byte(file + "replicas: 2\n"))
	require.Error(t, err, "of services, each by itself")

	comparing := regexp.MustCompile(`(?i)determin|verif|agree|redundan|spot|compar|consensus`)
	fields := fieldPaths(reflect.TypeFor[File](), "")
	for _, of := range []reflect.Type{
		reflect.TypeFor[Spec](), reflect.TypeFor[jobstypes.MsgSubmitJob](), reflect.TypeFor[jobstypes.Job](), reflect.TypeFor[jobstypes.Slice](), reflect.TypeFor[jobstypes.Rerun](),
	} {
		for i := range of.NumField() {
			fields = append(fields, of.Name()+"."+of.Field(i).Name)
		}
	}
	require.Contains(t, fields, "MsgSubmitJob.SpecDigest")
	i := slices.IndexFunc(fields, func(name string) bool { return comparing.MatchString(name) && name != "Slice.AgreedPrice" })
	require.Equal(t, -1, i, "does %s compare results?", fields[max(i, 0)])
}
