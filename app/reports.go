package app

import (
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// reportTypes are the reports that a quorum of oracles can execute, by the kind of round. Nothing else can be.
func reportTypes() map[string]oracletypes.ReportType {
	return map[string]oracletypes.ReportType{}
}
