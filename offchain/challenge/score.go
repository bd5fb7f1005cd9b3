package challenge

import (
	"fmt"
	"slices"
	"time"
)

// score makes the tries of a challenge, each of which takes what attempt says, and tells what they show. The spec has its defaults.
func (s Spec) score(attempt func() (time.Duration, error)) (m Measurement, err error) {
	switch s.Kind {
	case CPUSingle:
		m.CPUSingle, err = s.best(s.Declared.CPUSingle, attempt, func(elapsed time.Duration) uint64 { return perSecond(s.squarings(), elapsed) })
	case CPUAll:
		rate := func(elapsed time.Duration) uint64 { return perSecond(s.squarings()*uint64(s.Declared.Cores), elapsed) }
		if s.Together == nil {
			m.CPUAll, err = s.best(s.Declared.CPUAll, attempt, rate)
		} else {
			m.CPUAll, err = median(len(s.Together.Tries), attempt, rate)
		}
	case Memory:
		m.MemoryMiB, m.MemoryBandwidthMiB, err = s.memory(attempt)
	case Disk:
		m.StorageMiB = s.Declared.StorageMiB
		m.DiskReadMiB, err = s.best(s.Declared.DiskReadMiB, attempt, func(elapsed time.Duration) uint64 {
			return perSecond(diskLanes*laneReads*DiskBlockSize, elapsed) >> 20
		})
	}
	return m, err
}

// best of the tries, of which one that is good enough is the last.
func (s Spec) best(declared uint64, attempt func() (time.Duration, error), rate func(time.Duration) uint64) (best uint64, err error) {
	for range s.Tries {
		elapsed, err := attempt()
		if err != nil {
			return 0, err
		}
		if best = max(best, rate(elapsed)); enough(best, declared) {
			break
		}
	}
	return best, nil
}

// median is the lower one of all tries.
func median(tries int, attempt func() (time.Duration, error), rate func(time.Duration) uint64) (uint64, error) {
	scores := make([]uint64, tries)
	for i := range scores {
		elapsed, err := attempt()
		if err != nil {
			return 0, err
		}
		scores[i] = rate(elapsed)
	}
	slices.Sort(scores)
	return scores[(tries-1)/2], nil
}

func (s Spec) memory(attempt func() (time.Duration, error)) (mib, bandwidth uint64, err error) {
	walk := walkFor(s.RTT)
	total := uint64(walk.Segments) * uint64(walk.Steps)
	for range s.Tries {
		elapsed, err := attempt()
		if err != nil {
			return 0, 0, err
		}
		mib = max(mib, resident(s.Declared.MemoryMiB, elapsed/time.Duration(total), s.MaxStep))
		bandwidth = max(bandwidth, perSecond(total*MemoryBlockSize, elapsed)>>20)
		if mib == s.Declared.MemoryMiB && enough(bandwidth, s.Declared.MemoryBandwidthMiB) {
			break
		}
	}
	return mib, bandwidth, nil
}

// squarings of one copy of the CPU's task.
func (s Spec) squarings() uint64 {
	switch {
	case s.Together != nil:
		return squaringsFor(s.Declared.CPUAll, s.Declared.Cores, s.Together.Window)
	case s.Kind == CPUAll:
		return squaringsFor(s.Declared.CPUAll, s.Declared.Cores, s.Window)
	}
	return squaringsFor(s.Declared.CPUSingle, 1, s.Window)
}

// Replay is what a challenge shows whose tries take what next says; nothing is carried out.
func Replay(s Spec, next func() time.Duration) (Measurement, error) {
	s, err := s.withDefaults()
	if err != nil {
		return Measurement{}, err
	}
	return s.score(func() (time.Duration, error) { return next(), nil })
}

// Nominal is how long a try takes on a machine whose true speeds are these, without a round trip.
func (s Spec) Nominal(actual Declared) (time.Duration, error) {
	s, err := s.withDefaults()
	if err != nil {
		return 0, err
	}
	amount, speed := uint64(0), uint64(0)
	switch s.Kind {
	case CPUSingle:
		amount, speed = s.squarings(), actual.CPUSingle
	case CPUAll:
		amount, speed = s.squarings()*uint64(s.Declared.Cores), actual.CPUAll
	case Memory:
		walk := walkFor(s.RTT)
		amount, speed = uint64(walk.Segments)*uint64(walk.Steps)*MemoryBlockSize, actual.MemoryBandwidthMiB<<20
	case Disk:
		amount, speed = diskLanes*laneReads*DiskBlockSize, actual.DiskReadMiB<<20
	}
	if speed == 0 {
		return 0, fmt.Errorf("challenge %s: the machine has no speed for it", s.Kind)
	}
	return time.Duration(float64(amount) / float64(speed) * float64(time.Second)), nil
}
