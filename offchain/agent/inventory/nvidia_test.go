package inventory

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSMI(t *testing.T) {
	got := merge([]GPU{{Model: "NVIDIA 0x2684", Address: "0000:01:00.0"}, {Model: "AMD x", Address: "0000:02:00.0"}},
		parseSMI("GPU-0a1b-ff, 00000000:01:00.0, NVIDIA GeForce RTX 4090\nNo devices were found\nGPU-?, 00000000:04:00.0, x\n"))
	require.Equal(t, []GPU{
		{Model: "NVIDIA GeForce RTX 4090", Address: "0000:01:00.0", ID: "GPU-0a1b-ff"}, {Model: "AMD x", Address: "0000:02:00.0"},
	}, got)
}

func FuzzSMI(f *testing.F) {
	f.Add("GPU-0a1b-ff, 00000000:01:00.0, NVIDIA GeForce RTX 4090\n")
	f.Add("GPU-1,,\nGPU-2,a,b,c")
	f.Fuzz(func(t *testing.T, text string) {
		for _, g := range parseSMI(text) {
			if !validGPU(g.ID) || g.Address == "" || g.Model == "" || strings.ContainsAny(g.ID, ", \n") {
				t.Fatalf("%+v out of %q", g, text)
			}
		}
	})
}
