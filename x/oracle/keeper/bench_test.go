package keeper_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/foggrid/fogd/x/oracle/types"
)

// BenchmarkRounds is the whole life of a round but for its removal: open, four votes in messages of 250, count, execute, commit. Its
// report sends one coin.
func BenchmarkRounds(b *testing.B) {
	const perBlock, perMessage = 1000, 250
	c := withOracles(b, 4, func(p *types.Params) { p.Epoch = 3600 })
	block := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		ids := make([]uint64, perBlock)
		for i := range ids {
			now := c.Ctx.BlockTime().Unix()
			subject := binary.BigEndian.AppendUint64(make([]byte, 20, 28), block*perBlock+uint64(i))
			id, err := c.k.OpenRound(c.Ctx, types.KindOutcome, subject, now+3600, now+7200)
			must(b, err)
			ids[i] = id
		}
		c.NextBlock()
		for oracle := range 4 {
			for from := 0; from < perBlock; from += perMessage {
				votes := make([]types.Vote, perMessage)
				for i := range votes {
					votes[i] = claim(ids[from+i], "an outcome, with a root of thirty-two bytes", 1000)
				}
				c.vote(b, oracle, votes...)
			}
		}
		c.NextBlock()
		block++
		if got := c.executions(); got != block*perBlock {
			b.Fatalf("%d of %d rounds were executed", got, block*perBlock)
		}
	}
	b.ReportMetric(float64(block*perBlock)/b.Elapsed().Seconds(), "rounds/s")
}

// BenchmarkAttest is one message of 250 votes, without EndBlock.
func BenchmarkAttest(b *testing.B) {
	c := withOracles(b, 4)
	votes := make([]types.Vote, 250)
	for i := range votes {
		votes[i] = claim(c.open(b, types.KindOutcome, fmt.Sprint("s", i), 600), "an outcome, with a root of thirty-two bytes", 1000)
	}
	c.NextBlock()
	before := c.Ctx
	b.ReportAllocs()
	for b.Loop() {
		ctx, _ := before.CacheContext()
		_, err := c.msgs.Attest(ctx, &types.MsgAttest{Feeder: c.Text(feeder(0)), Votes: votes})
		must(b, err)
	}
	b.ReportMetric(250*float64(b.N)/b.Elapsed().Seconds(), "votes/s")
}
