package link

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// What the agent key signs. Integers are big-endian; text is its length as uint32, then its bytes.
//
//	pong:   "fog/pong/v1" 0x00 ‖ text oracle_id ‖ text node_id ‖ nonce (32 bytes)
//	report: "fog/report/v1" 0x00 ‖ text node_id ‖ text job_id ‖ uint32 slice ‖ uint32 attempt ‖ result_root (32 bytes) ‖
//	        manifest_digest (32 bytes, zeros if nothing was pushed) ‖ uint32 number of tasks ‖
//	        for each task: uint32 task ‖ uint32 exit_code ‖ uint32 reason ‖ uint64 duration_ms
//
// What the key of a job's owner signs:
//
//	watch:  "fog/watch/v1" 0x00 ‖ text oracle_id ‖ text job_id ‖ uint32 task ‖ uint32 kind ‖ nonce (32 bytes)
const (
	pongDomain   = "fog/pong/v1\x00"
	reportDomain = "fog/report/v1\x00"
	watchDomain  = "fog/watch/v1\x00"

	nonceSize = 32
)

// ErrBadSignature means that something was not signed by the agent key that should have signed it.
var ErrBadSignature = errors.New("the signature is not that of the agent key")

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...) //nolint:gosec // a length, which the message bounds
}

// pongBytes names the oracle, so that an oracle cannot have its agents sign what another one asks.
func pongBytes(oracleID, nodeID string, nonce []byte) []byte {
	return append(appendText(appendText([]byte(pongDomain), oracleID), nodeID), nonce...)
}

// watchSigningBytes name the oracle and hold its nonce, so that no signature is good twice or elsewhere. Their first byte begins no
// sign document of a transaction.
func watchSigningBytes(oracleID, jobID string, task uint32, kind WatchKind, nonce []byte) []byte {
	b := appendText(appendText([]byte(watchDomain), oracleID), jobID)
	b = binary.BigEndian.AppendUint32(b, task)
	b = binary.BigEndian.AppendUint32(b, uint32(kind))
	return append(b, nonce...)
}

// SigningBytes are what the agent signs, as documented above.
func (r Report) SigningBytes() []byte {
	b := appendText(appendText([]byte(reportDomain), r.NodeID), r.JobID)
	b = binary.BigEndian.AppendUint32(b, r.Slice)
	b = binary.BigEndian.AppendUint32(b, r.Attempt)
	b = append(b, r.ResultRoot[:]...)
	b = append(b, r.ManifestDigest[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.Tasks))) //nolint:gosec // a length, which the message bounds
	for _, t := range r.Tasks {
		b = binary.BigEndian.AppendUint32(b, t.Task)
		b = binary.BigEndian.AppendUint32(b, t.ExitCode)
		b = binary.BigEndian.AppendUint32(b, uint32(t.Reason))
		b = binary.BigEndian.AppendUint64(b, t.DurationMS)
	}
	return b
}

// Digest is the SHA-256 of the signing bytes; it names the report in acknowledgements.
func (r Report) Digest() [sha256.Size]byte {
	return sha256.Sum256(r.SigningBytes())
}

// Sign signs a report with the agent key.
func (r Report) Sign(key ed25519.PrivateKey) SignedReport {
	return SignedReport{Report: r, Signature: ed25519.Sign(key, r.SigningBytes())}
}

// Verify checks the report's form and that the agent key signed it.
func (s SignedReport) Verify(key ed25519.PublicKey) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, s.SigningBytes(), s.Signature) {
		return ErrBadSignature
	}
	return nil
}
