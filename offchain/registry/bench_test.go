package registry_test

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/foggrid/fogd/offchain/registry"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// BenchmarkPushResult pushes the result of a full slice: 256 small layers, each synced to disk.
func BenchmarkPushResult(b *testing.B) {
	r, err := registry.Open(b.TempDir(), registry.Options{})
	if err != nil {
		b.Fatal(err)
	}
	srv := httptest.NewServer(r)
	defer srv.Close()
	c, err := client.New(srv.URL)
	if err != nil {
		b.Fatal(err)
	}
	const tasks = 256
	run := 0
	for b.Loop() {
		run++
		outputs := make([]client.TaskOutput, tasks)
		for i := range outputs {
			outputs[i] = client.TaskOutput{Task: uint32(i), Result: client.BytesBlob("", fmt.Append(nil, run, i))}
		}
		if _, err := c.PushArtifact(b.Context(), "results/job1x", client.ResultTag(uint32(run), 1), client.Result(outputs)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(tasks*run)/b.Elapsed().Seconds(), "layers/s")
}
