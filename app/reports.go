package app

import (
	sdk "github.com/cosmos/cosmos-sdk/types"

	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// reportTypes are the reports that a quorum of oracles can execute, by the kind of round. Nothing else can be.
func reportTypes() map[string]oracletypes.ReportType {
	return map[string]oracletypes.ReportType{
		nodestypes.RoundKindBenchmark: {
			Rule:         oracletypes.ROUND_RULE_MERGE,
			ValidateBody: nodestypes.ValidateBenchmarkBody,
			BuildMsg: func(authority string, result oracletypes.RoundResult) (sdk.Msg, error) {
				return nodestypes.NewMsgRecordBenchmark(authority, result.Subject, bodies(result), result.Quorum)
			},
		},
		nodestypes.RoundKindLiveness: {
			Rule:         oracletypes.ROUND_RULE_MERGE,
			ValidateBody: nodestypes.ValidateLivenessBody,
			BuildMsg: func(authority string, result oracletypes.RoundResult) (sdk.Msg, error) {
				return nodestypes.NewMsgRecordLiveness(authority, result.Subject, bodies(result), result.Quorum)
			},
		},
		// A model is fitted by the proposer; the others vote for it if it is no worse than their own.
		nodestypes.RoundKindModel: {
			Rule:         oracletypes.ROUND_RULE_CLAIM,
			ProposerOnly: true,
			ValidateBody: nodestypes.ValidateModelBody,
			BuildMsg: func(authority string, result oracletypes.RoundResult) (sdk.Msg, error) {
				return nodestypes.NewMsgRecordModel(authority, result.Body)
			},
		},
		// Everybody computes the same batch, and it can be long: one posts it, the others vote for its hash.
		jobstypes.RoundKindMatches: {
			Rule:         oracletypes.ROUND_RULE_CLAIM,
			ProposerOnly: true,
			ValidateBody: jobstypes.ValidateMatchBody,
			BuildMsg: func(authority string, result oracletypes.RoundResult) (sdk.Msg, error) {
				return jobstypes.NewMsgRecordMatches(authority, result.Round, result.Body, result.Voters)
			},
		},
		// Epochs are counted up: no subject comes twice.
		jobstypes.RoundKindServices: {
			Rule:          oracletypes.ROUND_RULE_MERGE,
			FreshSubjects: true,
			ValidateBody:  jobstypes.ValidateServicesBody,
			BuildMsg: func(authority string, result oracletypes.RoundResult) (sdk.Msg, error) {
				return jobstypes.NewMsgRecordServices(authority, result.Subject, bodies(result), result.Voters, result.Quorum)
			},
		},
		// A slice is matched once, what is queued again is a new one: no subject comes twice.
		jobstypes.RoundKindOutcome: {
			Rule:          oracletypes.ROUND_RULE_CLAIM,
			FreshSubjects: true,
			ValidateBody:  jobstypes.ValidateOutcomeBody,
			BuildMsg: func(authority string, result oracletypes.RoundResult) (sdk.Msg, error) {
				return jobstypes.NewMsgRecordOutcomes(authority, result.Round, result.Subject, result.Body, result.Meter, result.Voters)
			},
		},
	}
}

// bodies are those of the votes, without the voters.
func bodies(result oracletypes.RoundResult) [][]byte {
	out := make([][]byte, len(result.Votes))
	for i, vote := range result.Votes {
		out[i] = vote.Body
	}

	return out
}
