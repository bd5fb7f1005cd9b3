package types

import (
	"fmt"
	"math"

	"cosmossdk.io/core/address"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// Validate checks the message without state; what the params bound is checked when it is executed.
func (m *MsgSubmitJob) Validate(ac address.Codec) error {
	if err := validateAddress(ac, "owner", m.Owner); err != nil {
		return err
	}
	if m.Salt == "" || len(m.Salt) > MaxSaltLength {
		return invalid("salt", "%d bytes; it must have 1 to %d", len(m.Salt), MaxSaltLength)
	}
	if err := m.validateEnums(); err != nil {
		return err
	}
	if err := validateDigest("spec_digest", m.SpecDigest); err != nil {
		return err
	}
	if err := validateDigest("image_digest", m.ImageDigest); err != nil {
		return err
	}
	if err := m.validateKind(); err != nil {
		return err
	}
	if err := validateResources(m.Resources); err != nil {
		return err
	}
	if m.PriceCap == 0 || m.PriceCap > MaxPrice {
		return invalid("price_cap", "%d; it must be 1 to %d ufog per task-hour", m.PriceCap, uint64(MaxPrice))
	}
	if m.Deadline == 0 {
		return invalid("deadline", "0; give the seconds from now by which tasks must be matched")
	}
	if err := m.Constraints.Validate(); err != nil {
		return err
	}
	if m.Wishes != nil && m.Wishes.Gang && m.Tasks > MaxSliceTasks {
		return invalid("wishes.gang", "%d tasks; a gang has at most %d", m.Tasks, MaxSliceTasks)
	}
	if err := m.validatePeriodic(); err != nil {
		return err
	}
	return m.Wishes.Validate()
}

func (m *MsgSubmitJob) validateEnums() error {
	switch m.Type {
	case JOB_TYPE_BATCH, JOB_TYPE_SERVICE, JOB_TYPE_PERIODIC:
	default:
		return invalid("type", "%s; it must be %s, %s or %s", m.Type, JOB_TYPE_BATCH, JOB_TYPE_SERVICE, JOB_TYPE_PERIODIC)
	}
	if !m.Engine.Known() {
		return invalid("engine", "%s; it must be %s or %s", m.Engine, nodestypes.ENGINE_WASM, nodestypes.ENGINE_DOCKER)
	}
	return nil
}

// Validate checks the message without state.
func (m *MsgCancelJob) Validate(ac address.Codec) error {
	if err := validateAddress(ac, "owner", m.Owner); err != nil {
		return err
	}
	return validateJobID(m.JobId)
}

// Validate checks the message without state.
func (m *MsgTopUpJob) Validate(ac address.Codec) error {
	if err := validateAddress(ac, "owner", m.Owner); err != nil {
		return err
	}
	if m.Amount == 0 || m.Amount > maxAmount {
		return invalid("amount", "%d; it must be 1 to %d ufog", m.Amount, uint64(maxAmount))
	}
	return validateJobID(m.JobId)
}

// Validate checks the message without state.
func (m *MsgAcceptResult) Validate(ac address.Codec) error {
	if err := validateAddress(ac, "owner", m.Owner); err != nil {
		return err
	}
	if err := validateJobID(m.JobId); err != nil {
		return err
	}
	return validateSliceNumbers(m.Slices)
}

// Validate checks the message without state.
func (m *MsgClaimTimeout) Validate(ac address.Codec) error {
	if err := validateAddress(ac, "sender", m.Sender); err != nil {
		return err
	}
	if err := validateJobID(m.JobId); err != nil {
		return err
	}
	if len(m.Slices) == 0 {
		return invalid("slices", "none; name at least one")
	}
	return validateSliceNumbers(m.Slices)
}

// Validate checks the message without state.
func (m *MsgUpdateParams) Validate(ac address.Codec) error {
	if err := validateAddress(ac, "authority", m.Authority); err != nil {
		return err
	}
	return m.Params.Validate()
}

// validateAddress takes an address in its canonical form only: owners are compared as text, and bech32 has an upper-case form too.
func validateAddress(ac address.Codec, field, value string) error {
	raw, err := ac.StringToBytes(value)
	if err != nil {
		return invalid(field, "%s: %s; it must be an address", quote(value), err)
	}
	if canonical, err := ac.BytesToString(raw); err != nil || canonical != value {
		return invalid(field, "%s; it must be in canonical form, in lower case", quote(value))
	}
	return nil
}

func validateJobID(value string) error {
	if _, err := escrowtypes.ParseID(JobHRP, value); err != nil {
		return invalid("job_id", "%s", err)
	}
	return nil
}

func validateSliceNumbers(numbers []uint64) error {
	if len(numbers) > MaxSlicesPerMsg {
		return invalid("slices", "%d entries; at most %d", len(numbers), MaxSlicesPerMsg)
	}
	for i := range numbers {
		if numbers[i] > math.MaxUint32 {
			return invalid(fmt.Sprintf("slices[%d]", i), "%d; it must be below 2^32", numbers[i])
		}
		if i > 0 && numbers[i] <= numbers[i-1] {
			return invalid(fmt.Sprintf("slices[%d]", i), "%d after %d; they must increase strictly", numbers[i], numbers[i-1])
		}
	}
	return nil
}

// SliceNumbers are numbers that were validated, in their own width.
func SliceNumbers(numbers []uint64) []uint32 {
	out := make([]uint32, len(numbers))
	for i, n := range numbers {
		out[i] = uint32(n) //nolint:gosec // they were validated
	}
	return out
}
