package types

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	sdked25519 "github.com/cosmos/cosmos-sdk/crypto/keys/ed25519"
)

// Limits of what owners declare.
const (
	MaxSaltLength      = 32
	MaxPlaceLength     = 32
	MaxModelLength     = 128
	MaxAttributes      = 32
	MaxAttributeLength = 64
	MaxBootLength      = 64
	MinBootLength      = 8
	// MaxProbationTasks bounds the param: a node that has ended that many is past it whatever the param says.
	MaxProbationTasks = 1_000
	// MaxJailTransitions bounds the param, and with it the outages that a node remembers.
	MaxJailTransitions  = 8
	maxCPUMilli         = 1 << 24 // 16,777 vCPU
	maxMiB              = 1 << 40
	maxGPUs             = 1 << 10
	maxCores            = 1 << 14
	maxFigure           = 1 << 50
	maxPrice            = 1 << 50
	registrationContext = "fog/register/v1"
)

// RegistrationBytes is what an agent signs to agree to its registration: "fog/register/v1" ‖ 0x00 ‖ owner ‖ 0x00 ‖ salt.
func RegistrationBytes(owner []byte, salt string) []byte {
	b := append([]byte(registrationContext), 0)
	b = append(b, owner...)
	b = append(b, 0)
	return append(b, salt...)
}

// Validate checks what does not depend on state; owner is the signer's address.
func (m *MsgRegisterNode) Validate(owner []byte) error {
	if err := text("salt", m.Salt, 1, MaxSaltLength); err != nil {
		return err
	}
	if len(m.AgentKey) != ed25519.PublicKeySize {
		return ErrInvalidField.Wrapf("agent_key has %d bytes; an ed25519 public key has %d", len(m.AgentKey), ed25519.PublicKeySize)
	}
	if err := ValidateBoot(m.Boot); err != nil {
		return err
	}
	if err := place("region", m.Region); err != nil {
		return err
	}
	if err := place("datacenter", m.Datacenter); err != nil {
		return err
	}
	if err := m.Hardware.Validate(); err != nil {
		return err
	}
	if err := validateDeclaration(m.Declared); err != nil {
		return err
	}
	if err := validateOffer(m.Capacity, m.Hardware, m.Declared); err != nil {
		return err
	}
	if err := validateAttributes(m.Attributes); err != nil {
		return err
	}
	if err := m.Prices.Validate(); err != nil {
		return err
	}
	if err := m.Location.Validate(); err != nil {
		return err
	}
	if err := validateEngines(m.Engines); err != nil {
		return err
	}
	if err := validateReach(m.Address, m.Ports); err != nil {
		return err
	}
	// The SDK's verification accepts the same signatures on every machine (ZIP-215), the standard library's need not.
	key := sdked25519.PubKey{Key: m.AgentKey}
	if len(m.AgentSignature) != ed25519.SignatureSize || !key.VerifySignature(RegistrationBytes(owner, m.Salt), m.AgentSignature) {
		return ErrInvalidField.Wrap("agent_signature does not prove that the owner holds the agent's key; make it with `fog node register`")
	}
	return nil
}

// Validate checks the message against the node that it changes.
func (m *MsgUpdateNode) Validate(node Node) error {
	if m.empty() {
		return ErrInvalidField.Wrap("nothing to update; set prices, attributes, capacity, declared, location, engines, address, ports or hours")
	}
	if err := m.validateReach(node); err != nil {
		return err
	}
	if err := m.Location.Validate(); err != nil {
		return err
	}
	if err := validateEngines(m.Engines); err != nil {
		return err
	}
	if len(m.Attributes) > 0 && !m.ReplaceAttributes {
		return ErrInvalidField.Wrap("attributes are given but replace_attributes is not set")
	}
	if m.Prices != nil {
		if err := m.Prices.Validate(); err != nil {
			return err
		}
	}
	if err := validateAttributes(m.Attributes); err != nil {
		return err
	}
	declared, capacity := node.Declared, node.Capacity
	if m.Declared != nil {
		declared = *m.Declared
	}
	if m.Capacity != nil {
		capacity = *m.Capacity
	}
	if m.Declared == nil && m.Capacity == nil {
		return nil
	}
	if err := validateDeclaration(declared); err != nil {
		return err
	}
	if err := validateOffer(capacity, node.Hardware, declared); err != nil {
		return err
	}
	if err := node.Reserved.FitsIn(capacity); err != nil {
		return ErrInUse.Wrapf("capacity cannot go below what is reserved: %s", err)
	}
	return nil
}

func (m *MsgUpdateNode) empty() bool {
	return m.Prices == nil && !m.ReplaceAttributes && m.Capacity == nil && m.Declared == nil && m.Location == nil && len(m.Engines) == 0 &&
		m.Address == "" && m.Ports == nil && m.Hours == nil
}

// validateReach checks address and ports as they will be.
func (m *MsgUpdateNode) validateReach(node Node) error {
	if m.Address != "" {
		node.Address = m.Address
	}
	if m.Ports == nil {
		return validateAddress(node.Address)
	}
	node.Ports = *m.Ports
	if err := validateReach(node.Address, node.Ports); err != nil {
		return err
	}
	for _, port := range node.PortsInUse {
		if !node.Ports.Has(port) {
			return ErrInUse.Wrapf("port %d is in use and must stay in the range", port)
		}
	}
	return nil
}

// Validate checks a declared machine.
func (h Hardware) Validate() error {
	if err := text("hardware.cpu_model", h.CpuModel, 0, MaxModelLength); err != nil {
		return err
	}
	if err := text("hardware.gpu_model", h.GpuModel, 0, MaxModelLength); err != nil {
		return err
	}
	if h.Cores == 0 || h.Cores > maxCores {
		return ErrInvalidField.Wrapf("hardware.cores is %d; it must be from 1 to %d", h.Cores, maxCores)
	}
	if _, known := StorageType_name[int32(h.StorageType)]; !known {
		return ErrInvalidField.Wrapf("hardware.storage_type %d is not known", h.StorageType)
	}
	if err := place("hardware.os", h.Os); err != nil {
		return err
	}
	return place("hardware.arch", h.Arch)
}

// validateDeclaration checks the figures that an owner declares.
func validateDeclaration(b Benchmark) error {
	for _, f := range b.measuredOnly() {
		if *f.value != 0 {
			return ErrInvalidField.Wrapf("declared.%s is %d; it is measured only, leave it out", f.name, *f.value)
		}
	}
	return b.validate("declared")
}

// validate checks declared or observed figures; they are in the field that the error names.
func (b Benchmark) validate(field string) error {
	for _, f := range append(b.figures(), b.measuredOnly()...) {
		if *f.value > maxFigure {
			return ErrInvalidField.Wrapf("%s.%s is %d; it must be at most %d", field, f.name, *f.value, uint64(maxFigure))
		}
	}
	return nil
}

// Validate checks prices.
func (p Prices) Validate() error {
	for _, c := range []component{{"cpu", p.Cpu}, {"memory", p.Memory}, {"storage", p.Storage}, {"gpu", p.Gpu}} {
		if c.value > maxPrice {
			return ErrInvalidField.Wrapf("prices.%s is %d ufog; it must be at most %d", c.name, c.value, uint64(maxPrice))
		}
	}
	return nil
}

// validateOffer checks that what is offered is no more than what is declared.
func validateOffer(capacity Resources, h Hardware, declared Benchmark) error {
	for _, r := range []struct {
		field           string
		value, min, max uint64
		rule            string
	}{
		{"capacity.cpu_milli", capacity.CpuMilli, 1, min(maxCPUMilli, uint64(h.Cores)*milliPerCPU), "hardware.cores"},
		{"capacity.memory_mib", capacity.MemoryMib, 1, min(maxMiB, declared.MemoryMib), "declared.memory_mib"},
		{"capacity.storage_mib", capacity.StorageMib, 0, min(maxMiB, declared.StorageMib), "declared.storage_mib"},
		{"capacity.gpus", capacity.Gpus, 0, maxGPUs, "the limit"},
		{"declared.cpu_single", declared.CpuSingle, 1, maxFigure, "the limit"},
		{"declared.cpu_all", declared.CpuAll, 1, maxFigure, "the limit"},
	} {
		if r.value < r.min || r.value > r.max {
			return ErrInvalidField.Wrapf("%s is %d; it must be from %d to %d (%s)", r.field, r.value, r.min, r.max, r.rule)
		}
	}
	return nil
}

func validateAttributes(attributes []Attribute) error {
	if len(attributes) > MaxAttributes {
		return ErrInvalidField.Wrapf("attributes holds %d; at most %d are allowed", len(attributes), MaxAttributes)
	}
	if !slices.IsSortedFunc(attributes, func(a, b Attribute) int { return strings.Compare(a.Key, b.Key) }) {
		return ErrInvalidField.Wrap("attributes must be sorted by key")
	}
	for i, a := range attributes {
		if err := place(fmt.Sprintf("attributes[%d].key", i), a.Key); err != nil {
			return err
		}
		if i > 0 && attributes[i-1].Key == a.Key {
			return ErrInvalidField.Wrapf("attributes[%d].key %q is there twice", i, a.Key)
		}
		if err := text(fmt.Sprintf("attributes[%d].value", i), a.Value, 0, MaxAttributeLength); err != nil {
			return err
		}
	}
	return nil
}

// ValidateBoot checks the hex form of a boot id.
func ValidateBoot(boot string) error {
	if len(boot) < MinBootLength || len(boot) > MaxBootLength {
		return ErrInvalidField.Wrapf("boot has %d characters; it must have %d to %d", len(boot), MinBootLength, MaxBootLength)
	}
	if _, err := hex.DecodeString(boot); err != nil || boot != strings.ToLower(boot) {
		return ErrInvalidField.Wrap("boot must be lower-case hex, two digits a byte")
	}
	return nil
}

// place checks a short name of lower-case letters, digits, dots, dashes and underscores.
func place(field, s string) error {
	if len(s) == 0 || len(s) > MaxPlaceLength {
		return ErrInvalidField.Wrapf("%s has %d characters; it must have 1 to %d", field, len(s), MaxPlaceLength)
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_' {
			return ErrInvalidField.Wrapf("%s %q must hold only a-z, 0-9, '.', '-' and '_'", field, s)
		}
	}
	return nil
}

// text checks a printable text. What Unicode calls printable changes with the version of Go, so only ASCII is taken.
func text(field, s string, minimum, maximum int) error {
	if len(s) < minimum || len(s) > maximum {
		return ErrInvalidField.Wrapf("%s has %d bytes; it must have %d to %d", field, len(s), minimum, maximum)
	}
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return ErrInvalidField.Wrapf("%s %q must be printable ASCII", field, s)
		}
	}
	return nil
}
