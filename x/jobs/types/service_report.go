package types

import (
	"cmp"
	"encoding/binary"

	"cosmossdk.io/core/address"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
)

// MaxServiceItems bounds each list of a services vote; what differs still is named again in the next epoch.
const MaxServiceItems = 2_000

// EncodeServicesSubject names an epoch in 8 bytes, big-endian.
func EncodeServicesSubject(epoch uint64) []byte { return binary.BigEndian.AppendUint64(nil, epoch) }

// DecodeServicesSubject reads the subject of a services round.
func DecodeServicesSubject(subject []byte) (uint64, error) {
	if len(subject) != 8 {
		return 0, ErrInvalidReport.Wrapf("services subject has %d bytes; it must have 8", len(subject))
	}
	return binary.BigEndian.Uint64(subject), nil
}

// CompareServiceItems orders items by job, slice and attempt.
func CompareServiceItems(a, b ServiceItem) int {
	return cmp.Or(cmp.Compare(a.JobId, b.JobId), cmp.Compare(a.Slice, b.Slice), cmp.Compare(a.Attempt, b.Attempt))
}

// ValidateServicesBody refuses a body that is no observation of services.
func ValidateServicesBody(_, body []byte) error {
	_, err := DecodeServicesBody(body)
	return err
}

// DecodeServicesBody reads the body of a vote in a services round and checks its form.
func DecodeServicesBody(body []byte) (ServiceObservation, error) {
	var o ServiceObservation
	if err := o.Unmarshal(body); err != nil {
		return ServiceObservation{}, ErrInvalidReport.Wrapf("services observation: %s", err)
	}
	return o, o.Validate()
}

// Validate checks the form of an observation.
func (o ServiceObservation) Validate() error {
	seen := make(map[ServiceItem]bool, len(o.NotRunning)+len(o.Unhealthy)+len(o.Started))
	for _, list := range []struct {
		name  string
		items []ServiceItem
	}{{"not_running", o.NotRunning}, {"unhealthy", o.Unhealthy}, {"started", o.Started}} {
		if len(list.items) > MaxServiceItems {
			return ErrInvalidReport.Wrapf("%s holds %d; at most %d", list.name, len(list.items), MaxServiceItems)
		}
		for i, item := range list.items {
			if _, err := escrowtypes.ParseID(JobHRP, item.JobId); err != nil {
				return ErrInvalidReport.Wrapf("%s[%d].job_id: %s", list.name, i, err)
			}
			if i > 0 && CompareServiceItems(list.items[i-1], item) >= 0 {
				return ErrInvalidReport.Wrapf("%s[%d]: items must increase strictly by job_id, slice and attempt", list.name, i)
			}
			if seen[item] {
				return ErrInvalidReport.Wrapf("%s[%d]: slice %d of %s is in another list too", list.name, i, item.Slice, item.JobId)
			}
			seen[item] = true
		}
	}
	return nil
}

// NewMsgRecordServices makes the report of a services round from the bodies of its votes, given by voters in their order.
func NewMsgRecordServices(authority string, subject []byte, bodies [][]byte, voters []string, quorum uint32) (*MsgRecordServices, error) {
	epoch, err := DecodeServicesSubject(subject)
	if err != nil {
		return nil, err
	}
	msg := &MsgRecordServices{Authority: authority, Epoch: epoch, Quorum: quorum, Voters: voters}
	for _, body := range bodies {
		o, err := DecodeServicesBody(body)
		if err != nil {
			return nil, err
		}
		msg.Observations = append(msg.Observations, o)
	}
	return msg, nil
}

// Validate checks the message without state.
func (m *MsgRecordServices) Validate(ac address.Codec) error {
	if m.Quorum == 0 || int(m.Quorum) > len(m.Observations) {
		return ErrInvalidReport.Wrapf("quorum: %d of %d observations", m.Quorum, len(m.Observations))
	}
	if err := validateVoters(ac, m.Voters); err != nil {
		return err
	}
	for _, o := range m.Observations {
		if err := o.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// Validate checks the message without state.
func (m *MsgUpdateService) Validate(ac address.Codec) error {
	if err := validateAddress(ac, "owner", m.Owner); err != nil {
		return err
	}
	if err := validateJobID(m.JobId); err != nil {
		return err
	}
	if err := validateDigest("spec_digest", m.SpecDigest); err != nil {
		return err
	}
	return validateDigest("image_digest", m.ImageDigest)
}

// Validate checks the message without state.
func (m *MsgScaleService) Validate(ac address.Codec) error {
	if err := validateAddress(ac, "owner", m.Owner); err != nil {
		return err
	}
	if err := validateJobID(m.JobId); err != nil {
		return err
	}
	return validateReplicas(m.Replicas)
}
