package classify_test

import (
	"context"
	"fmt"

	"github.com/foggrid/fogd/offchain/classify"
)

// Two kinds of machines by memory (GiB) and speed; one speed is not known.
func ExampleFitGMM() {
	d := &classify.Data{Dim: 2}
	for i := range 200 {
		x := float64(i % 10)
		if i%2 == 0 {
			d.X = append(d.X, 8+x/10, 1500+10*float64(i%7))
		} else {
			d.X = append(d.X, 64+x, 3000+20*float64(i%11))
		}
		d.Rows++
	}
	d.X[1] = nan()
	src := classify.SplitMix64(1)
	g, err := classify.FitGMM(context.Background(), d, classify.GMMOptions{K: 2}, &src)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(g.Labels[0] == g.Labels[2], g.Labels[0] == g.Labels[1])
	for _, p := range classify.Profiles(g.Mixture, []string{"memory", "cpu_single"}) {
		fmt.Println(p)
	}
	// Unordered output:
	// true false
	// slow CPU, little memory
	// fast CPU, much memory
}

func ExampleFitKMeans() {
	d := &classify.Data{Rows: 6, Dim: 1, X: []float64{1, 2, 3, 101, 102, 103}}
	src := classify.SplitMix64(1)
	m, err := classify.FitKMeans(context.Background(), d, classify.KMeansOptions{K: 2}, &src)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Inertia, m.Labels[0] == m.Labels[2], m.Labels[2] == m.Labels[3])
	// Output: 4 true false
}

// A class keeps its id in the next model when at least half of the machines of either are in both.
func ExampleIdentities() {
	before := []uint32{7, 7, 7, 9, 9}
	after := []int32{1, 1, 1, 0, 2}
	ids, next := classify.Identities(before, after, 3, 10)
	fmt.Println(ids, next)
	// Output: [9 7 10] 11
}

// From machines to a model that the chain can hold, and back to the class of one of them.
func ExampleQuantise() {
	var nodes []classify.Node
	for i := range uint64(400) {
		n := classify.Node{MemoryMiB: 4096 + i, Price: 10_000 + i, CPUSingle: 1500 + i%90, RTT: 30_000 + 20*i, Arch: "amd64"}
		if i%2 == 0 {
			n = classify.Node{MemoryMiB: 65536 + 9*i, Price: 200_000 + 50*i, CPUSingle: 3500 + i%70, RTT: 5_000 + 9*i, Arch: "arm64"}
		}
		nodes = append(nodes, n)
	}
	table, features := classify.Nodes(nodes), classify.NodeFeatures()
	raw, err := table.Data(features)
	check(err)
	scaler, err := classify.FitScaler(raw, features)
	check(err)
	scaled, err := scaler.Apply(raw)
	check(err)
	src := classify.SplitMix64(1)
	g, err := classify.FitGMM(context.Background(), scaled, classify.GMMOptions{K: 2, Noise: classify.ScaledNoise}, &src)
	check(err)
	ids, _ := classify.Identities(make([]uint32, len(nodes)), g.Labels, g.K, 1)
	model, err := classify.Quantise(g.Mixture, scaler, ids, []string{"one", "other"})
	check(err)
	first, err := model.Classify(table.Values[:table.Dim], []int{-1, 1})
	check(err)
	fmt.Println(first.Index == int(g.Labels[0]), first.Margin > classify.ChangeMargin)
	// Output: true true
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func nan() float64 {
	var zero float64
	return zero / zero
}
