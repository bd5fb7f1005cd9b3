package types_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/nodes/types"
)

func modelReport() types.ModelReport {
	return types.ModelReport{
		Version: 7, Height: 90, Model: []byte{1, 2, 3}, NextClass: 5,
		Classes: []types.Class{{Id: 1, Profile: "fast CPU, little memory"}, {Id: 4}},
		Moves:   []types.ClassMove{{Class: 1, Nodes: []uint32{1, 3}}, {Class: 1, Candidate: 4, Nodes: []uint32{2}}, {Class: 4, Nodes: []uint32{9}}},
	}
}

func TestModelBodies(t *testing.T) {
	subject := types.EncodeModelSubject(7, 90)
	validate := func(r types.ModelReport) error {
		body, err := r.Marshal()
		require.NoError(t, err)
		return types.ValidateModelBody(subject, body)
	}
	require.NoError(t, validate(modelReport()))
	for want, spoil := range map[string]func(*types.ModelReport){
		"version 8 at height 90":        func(r *types.ModelReport) { r.Version = 8 },
		"version 7 at height 91":        func(r *types.ModelReport) { r.Height = 91 },
		"model has 0 bytes":             func(r *types.ModelReport) { r.Model = nil },
		"model has 131073 bytes":        func(r *types.ModelReport) { r.Model = make([]byte, types.MaxModelBytes+1) },
		"classes: 0":                    func(r *types.ModelReport) { r.Classes = nil },
		"classes: 65":                   func(r *types.ModelReport) { r.Classes = make([]types.Class, 65) },
		"classes[0].id 0":               func(r *types.ModelReport) { r.Classes[0].Id = 0 },
		"classes[1].id 1":               func(r *types.ModelReport) { r.Classes[1].Id = 1 },
		"classes[1].id 4 must be below": func(r *types.ModelReport) { r.NextClass = 4 },
		"classes[0].profile":            func(r *types.ModelReport) { r.Classes[0].Profile = strings.Repeat("x", types.MaxProfile+1) },
		`profile "a\nb"`:                func(r *types.ModelReport) { r.Classes[0].Profile = "a\nb" },
		"moves: 4001;":                  func(r *types.ModelReport) { r.Moves = make([]types.ClassMove, 4001) },
		"moves[1] must increase":        func(r *types.ModelReport) { r.Moves[1] = r.Moves[0] },
		"moves[2]: class 2":             func(r *types.ModelReport) { r.Moves[2].Class = 2 },
		"moves[1]: class 1 and candidate 1": func(r *types.ModelReport) {
			r.Moves[1].Candidate = 1
		},
		"moves[1]: class 1 and candidate 3": func(r *types.ModelReport) { r.Moves[1].Candidate = 3 },
		"moves[0].nodes: none":              func(r *types.ModelReport) { r.Moves[0].Nodes = nil },
		"moves.nodes[1] is 1":               func(r *types.ModelReport) { r.Moves[0].Nodes = []uint32{1, 1} },
		"moves: 4003 nodes": func(r *types.ModelReport) {
			r.Moves[2].Nodes = nil
			for i := range uint32(types.MaxClassMoves) {
				r.Moves[2].Nodes = append(r.Moves[2].Nodes, i+1)
			}
		},
	} {
		r := modelReport()
		spoil(&r)
		err := validate(r)
		require.ErrorIs(t, err, types.ErrInvalidReport, want)
		require.ErrorContains(t, err, want)
	}
	require.ErrorIs(t, types.ValidateModelBody(subject[1:], nil), types.ErrInvalidReport)
	require.ErrorIs(t, types.ValidateModelBody(subject, []byte{0xff}), types.ErrInvalidReport)
}

func FuzzModelBody(f *testing.F) {
	report := modelReport()
	body, err := report.Marshal()
	require.NoError(f, err)
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		msg, err := types.NewMsgRecordModel("fog1", body)
		if err != nil {
			return
		}
		subject := types.EncodeModelSubject(msg.Report.Version, msg.Report.Height)
		require.NoError(t, types.ValidateModelBody(subject, body))
		again, err := msg.Report.Marshal()
		require.NoError(t, err)
		require.NoError(t, types.ValidateModelBody(subject, again))
	})
}
