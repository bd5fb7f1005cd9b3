package types

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

// Kinds of rounds.
const (
	KindBenchmark = "benchmark"
	KindLiveness  = "liveness"
	KindMatches   = "matches"
	KindOutcome   = "outcome"
	KindServices  = "services"
)

// ObservedVote is one voter's body in a merge round.
type ObservedVote struct {
	// Voter is the operator's bech32 address.
	Voter string
	Body  []byte
}

// RoundResult is what a quorum said.
type RoundResult struct {
	Round   uint64
	Subject []byte
	Quorum  uint32
	// Body of the accepted claim; nil in merge rounds.
	Body []byte
	// Meter is the lower median of the meters of the quorum's voters; zero in merge rounds.
	Meter uint64
	// Voters are the operators of the quorum (claim) or all that voted (merge), sorted.
	Voters []string
	// Votes are the observations of a merge round, in the order of Voters; nil in claim rounds.
	Votes []ObservedVote
}

// ReportType says how the rounds of one kind become a message. The set of kinds is fixed when the application is built: nothing
// else can be executed by a quorum.
type ReportType struct {
	Rule RoundRule
	// ProposerOnly: only the rank whose turn it is may post the body of a claim.
	ProposerOnly bool
	// FreshSubjects: whoever opens rounds of this kind never asks twice about one subject, so that OpenRound need not look for an open
	// round on it. For a subject that is new this means a search on disk.
	FreshSubjects bool
	// ValidateBody refuses a body that the message could not be built from.
	ValidateBody func(subject, body []byte) error
	// BuildMsg makes the report, to be executed with the given authority.
	BuildMsg func(authority string, result RoundResult) (sdk.Msg, error)
}

// Quorum is ⌊2n/3⌋+1 of n oracles.
func Quorum(n int) uint32 { return uint32(2*n/3 + 1) }

// Ranks returns the operators in the order in which they may post the body: by SHA-256(round ‖ operator), the lowest first. The
// round is its number in 8 bytes, big-endian; the operator is the address's bytes.
func Ranks(round uint64, operators []sdk.AccAddress) []sdk.AccAddress {
	type ranked struct {
		hash     [sha256.Size]byte
		operator sdk.AccAddress
	}
	rank := make([]ranked, len(operators))
	for i, op := range operators {
		rank[i] = ranked{hash: rankHash(round, op), operator: op}
	}
	slices.SortFunc(rank, func(a, b ranked) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	out := make([]sdk.AccAddress, len(rank))
	for i, r := range rank {
		out[i] = r.operator
	}
	return out
}

func rankHash(round uint64, operator []byte) [sha256.Size]byte {
	var buf [8]byte
	binary.BigEndian.PutUint64(buf[:], round)
	return sha256.Sum256(append(buf[:], operator...))
}

// MedianLower returns the lower median of values, which it sorts; zero of none.
func MedianLower(values []uint64) uint64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}
