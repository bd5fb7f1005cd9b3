package sim

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/foggrid/fogd/offchain/match"
)

// fogPolicy is the engine of package match, the code that the oracles run, over the simulated fleet. Each decision is a query of one task;
// priors freeze for an epoch as they do on chain.
type fogPolicy struct {
	w        *world
	engine   *match.Engine
	refs     []match.Ref
	places   []match.Place
	owners   []match.ID
	classes  func(i int) uint32
	seed     match.Seed
	decision match.Decision
	runners  int
	every    int64 // between epochs of the engine, in milliseconds
}

// fogOptions take parts away, to see what each is worth.
type fogOptions struct {
	config            match.Config
	noClass, oneOwner bool
}

func newFog(o fogOptions) func(w *world, r *Rand) (Policy, error) {
	return func(w *world, r *Rand) (Policy, error) {
		p := &fogPolicy{w: w, engine: match.NewEngine(o.config), refs: make([]match.Ref, w.Len()), every: 10 * epoch, runners: 3}
		for i := range p.seed {
			p.seed[i] = byte(r.Uint64())
		}
		for _, c := range places {
			p.places = append(p.places, match.PlaceAt(int32(math.Round(c.Lat*1e6)), int32(math.Round(c.Lon*1e6))))
		}
		for k := range w.Owners {
			if o.oneOwner {
				k = 0
			}
			p.owners = append(p.owners, id(w.seed, 'o', uint64(k)))
		}
		p.classes = func(int) uint32 { return 0 }
		if !o.noClass {
			classes, err := classesOf(&w.Fleet, w.seed)
			if err != nil {
				return nil, err
			}
			p.classes = classes
		}
		for i := range p.refs {
			if err := p.add(i); err != nil {
				return nil, err
			}
		}
		p.engine.Epoch(0)
		return p, nil
	}
}

// id is that of a thing of the simulation.
func id(keys ...uint64) match.ID {
	var out match.ID
	r := NewRand(keys...)
	binary.BigEndian.PutUint64(out[:], r.Uint64())
	binary.BigEndian.PutUint64(out[8:], r.Uint64())
	binary.BigEndian.PutUint32(out[16:], uint32(r.Uint64()))
	return out
}

func (p *fogPolicy) add(i int) error {
	f := &p.w.Fleet
	server := &f.Catalogue[f.Server[i]]
	ref, err := p.engine.Add(match.Node{
		ID: id(p.w.seed, 'n', uint64(i), uint64(f.Generation[i])), Index: uint32(i), Owner: p.owners[f.Owner[i]],
		Free:   match.Resources{CPUMilli: uint64(max(f.FreeCPU[i], 0)), MemoryMiB: uint64(max(f.FreeMemory[i], 0))},
		Prices: match.Prices{CPU: micro(f.PriceCPU[i]), Memory: micro(f.PriceMemory[i])},
		Region: places[f.Place[i]].Continent, Datacenter: places[f.Place[i]].Name, Arch: server.Arch,
		CPUSingle: uint64(f.Speed[i]), Class: p.classes(i), Place: p.places[f.Place[i]], RTT: 5000,
	})
	p.refs[i] = ref
	return err
}

func micro(dollars float64) uint64 { return uint64(math.Round(dollars * 1e6)) }

// Choose asks the engine.
func (p *fogPolicy) Choose(j *Job) int {
	q := match.Query{
		Job: id(p.w.seed, 'j', uint64(j.ID)), Number: uint32(j.Attempt),
		Task: match.Resources{CPUMilli: uint64(j.CPU), MemoryMiB: uint64(j.Memory)},
		Work: uint64(j.Work * 3600 * ReferenceSpeed), FailureCost: micro(p.w.Loss.Failure), LatencyPrice: micro(p.w.Loss.RTT * 1000),
		Place: p.places[j.Origin], Runners: p.runners,
	}
	if !p.engine.Decide(&q, p.seed, &p.decision) {
		return -1
	}
	return int(p.engine.Node(p.decision.Best().Ref).Index)
}

// Observe passes an outcome on.
func (p *fogPolicy) Observe(o Outcome) {
	p.engine.Observe(p.refs[o.Node], match.Outcome{Success: o.OK, Speed: uint32(min(o.Speed*match.One, 1<<30)), At: o.At / 1000})
}

// Changed passes on what is free. A node whose free CPUs show as none takes nothing, whatever its memory.
func (p *fogPolicy) Changed(i int) {
	f := &p.w.Fleet
	p.engine.SetFree(p.refs[i], match.Resources{CPUMilli: uint64(max(f.FreeCPU[i], 0)), MemoryMiB: uint64(max(f.FreeMemory[i], 0))},
		uint32(p.w.running[i]))
}

// Replaced takes the old machine out and the new one in.
func (p *fogPolicy) Replaced(i int) {
	p.engine.Remove(p.refs[i])
	if err := p.add(i); err != nil {
		panic(fmt.Sprintf("sim: two machines have one id: %v", err))
	}
}

// Tick begins an epoch of the engine.
func (p *fogPolicy) Tick(now int64) {
	if now%p.every == 0 {
		p.engine.Epoch(now / 1000)
		binary.BigEndian.PutUint64(p.seed[:], uint64(now))
	}
}
