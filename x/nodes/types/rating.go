package types

import (
	"bytes"
	"math/bits"
	"slices"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
)

const (
	// RatingOne is one outcome, and a speed as claimed, in the units of Rating.
	RatingOne = 1 << 16
	// MaxRatedDevelopers is the most developers of whom a node's rating keeps count.
	MaxRatedDevelopers = 16

	// freeTrials of each developer count, however few others there are.
	freeTrials = 5 * RatingOne
	// A part of 1 in developerShare+1 of the whole is a part of 1 in developerShare of the others: 20 %.
	developerShare = 4

	daySeconds = 86_400
	// perOutcome is 2^(-1/40) in units of 2^-32: half after forty outcomes.
	perOutcome = 4_221_182_329
)

// perIdleDay is 2^(-k/7) in units of 2^-32 for k days.
var perIdleDay = [7]uint64{1 << 32, 3_890_053_517, 3_523_313_526, 3_191_148_437, 2_890_298_656, 2_617_811_889, 2_371_014_177}

// Outcome is how work ended, as far as it tells of the machine; a task's own fault tells nothing.
type Outcome struct {
	// Developer is the id of the provider account that the job's owner has or would have.
	Developer escrowtypes.ID
	// Success is the part of the work that the node finished, at most RatingOne.
	Success uint64
	// Speed is the delivered over the claimed speed in units of 1/RatingOne; zero if it could not be compared.
	Speed uint64
}

// Idle is the rating as it weighs when so many seconds have passed since the newest outcome; whole days count for the counts.
func (r Rating) Idle(seconds int64) Rating {
	if seconds <= 0 {
		return r
	}
	r.Doubt = retried(r.Doubt, uint64(seconds))
	return r.forget(uint64(seconds)).fade(seconds)
}

// fade is the rating with the counts as they weigh after so many seconds.
func (r Rating) fade(seconds int64) Rating {
	if seconds < daySeconds {
		return r
	}
	days := uint64(seconds) / daySeconds
	r = r.scale(perIdleDay[days%7])
	halvings := days / 7 // a shift by 64 or more is zero
	return Rating{
		Successes: r.Successes >> halvings, Trials: r.Trials >> halvings,
		Speed: r.Speed >> halvings, SpeedTrials: r.SpeedTrials >> halvings, Doubt: r.Doubt, Suspects: r.Suspects >> halvings,
	}
}

// scale multiplies the counts by f/2³², f at most 2³².
func (r Rating) scale(f uint64) Rating {
	return Rating{
		Successes: mulQ32(r.Successes, f), Trials: mulQ32(r.Trials, f),
		Speed: mulQ32(r.Speed, f), SpeedTrials: mulQ32(r.SpeedTrials, f), Doubt: r.Doubt, Suspects: mulQ32(r.Suspects, f),
	}
}

func mulQ32(a, f uint64) uint64 {
	hi, lo := bits.Mul64(a, f)
	return hi<<32 | lo>>32
}

// mulDiv is ⌊a·b/c⌋, which the caller knows to fit.
func mulDiv(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	out, _ := bits.Div64(hi, lo, c)
	return out
}

func (r Rating) plus(o Rating) Rating {
	return Rating{
		Successes: r.Successes + o.Successes, Trials: r.Trials + o.Trials,
		Speed: r.Speed + o.Speed, SpeedTrials: r.SpeedTrials + o.SpeedTrials,
	}
}

// Sum is the node's rating.
func (rs Ratings) Sum() Rating {
	sum := rs.Others
	for _, d := range rs.Developers {
		sum = sum.plus(d.Rating)
	}
	sum.Doubt, sum.Suspects = rs.Doubt, min(rs.Suspects, sum.Trials-sum.Successes)
	return sum
}

// Age lets all parts and the doubt fade for the seconds since the newest outcome.
func (rs *Ratings) Age(seconds int64) {
	rs.Doubt = quarters(rs.Doubt, uint64(max(seconds, 0))/recoverySeconds)
	if seconds >= daySeconds {
		rs.Suspects = Rating{Trials: rs.Suspects}.fade(seconds).Trials
		rs.each(func(r Rating) Rating { return r.fade(seconds) })
	}
}

func (rs *Ratings) each(change func(Rating) Rating) {
	rs.Others = change(rs.Others)
	for i := range rs.Developers {
		rs.Developers[i].Rating = change(rs.Developers[i].Rating)
	}
}

// Add counts an outcome. A developer that would count for more than its share of the whole keeps its newest outcomes and forgets older
// ones.
func (rs *Ratings) Add(o Outcome) {
	rs.each(func(r Rating) Rating { return r.scale(perOutcome) })
	rs.Doubt, rs.Suspects = mulQ32(rs.Doubt, perOutcome), mulQ32(rs.Suspects, perOutcome)
	one := Rating{Successes: min(o.Success, RatingOne), Trials: RatingOne}
	if rs.heeds(o.Developer[:]) {
		rs.judge(one.Successes)
	}
	// A success clears most of the suspects, a failure is one more.
	rs.Suspects -= rs.Suspects * (fault - 1) * one.Successes / (fault * RatingOne)
	rs.Suspects += RatingOne - one.Successes
	if o.Speed > 0 {
		one.Speed, one.SpeedTrials = o.Speed, RatingOne
	}
	at := slices.IndexFunc(rs.Developers, func(d DeveloperRating) bool { return bytes.Equal(d.Developer, o.Developer[:]) })
	if at < 0 {
		rs.makeRoom()
		rs.Developers = append(rs.Developers, DeveloperRating{Developer: o.Developer[:]})
		at = len(rs.Developers) - 1
	}
	own := &rs.Developers[at].Rating
	*own = own.plus(one)
	rs.forgive()
	others := rs.Sum().Trials - own.Trials
	if most := max(freeTrials, others/developerShare); own.Trials > most {
		*own = own.scale(most << 32 / own.Trials)
	}
}

// makeRoom drops the developer of whom the rating knows least.
func (rs *Ratings) makeRoom() {
	if len(rs.Developers) < MaxRatedDevelopers {
		return
	}
	least := 0
	for i, d := range rs.Developers {
		if d.Rating.Trials < rs.Developers[least].Rating.Trials {
			least = i
		}
	}
	rs.Others = rs.Others.plus(rs.Developers[least].Rating)
	rs.Developers = slices.Delete(rs.Developers, least, least+1)
}

// Validate names the first thing that no sequence of outcomes leaves behind.
func (rs Ratings) Validate() error {
	if len(rs.Developers) > MaxRatedDevelopers {
		return ErrInvalidField.Wrapf("developers: %d; at most %d", len(rs.Developers), MaxRatedDevelopers)
	}
	seen := map[string]bool{}
	for i, d := range rs.Developers {
		if len(d.Developer) != len(escrowtypes.ID{}) || seen[string(d.Developer)] {
			return ErrInvalidField.Wrapf("developers[%d].developer: %x is no id of 20 bytes, or is there twice", i, d.Developer)
		}
		seen[string(d.Developer)] = true
		if err := d.Rating.validatePart(); err != nil {
			return ErrInvalidField.Wrapf("developers[%d].rating: %s", i, err)
		}
	}
	if err := rs.Others.validatePart(); err != nil {
		return ErrInvalidField.Wrapf("others: %s", err)
	}
	return rs.validateDoubt()
}

// maxTrials is above what outcomes that fade can add up to: 1/(1−2^(-1/40)) = 58.2.
const maxTrials = 64 * RatingOne

// Validate names the first field that is out of range.
func (r Rating) Validate() error {
	switch {
	case r.Trials > maxTrials:
		return ErrInvalidField.Wrapf("trials: %d; at most %d", r.Trials, maxTrials)
	case r.Successes > r.Trials:
		return ErrInvalidField.Wrapf("successes: %d of %d trials", r.Successes, r.Trials)
	case r.SpeedTrials > maxTrials:
		return ErrInvalidField.Wrapf("speed_trials: %d; at most %d", r.SpeedTrials, maxTrials)
	case r.Speed > maxTrials*MaxRatedSpeed:
		return ErrInvalidField.Wrapf("speed: %d; at most %d", r.Speed, maxTrials*MaxRatedSpeed)
	case r.Doubt > MaxDoubt:
		return ErrInvalidField.Wrapf("doubt: %d; at most %d", r.Doubt, uint64(MaxDoubt))
	case r.Suspects > r.Trials-r.Successes:
		return ErrInvalidField.Wrapf("suspects: %d of %d failures", r.Suspects, r.Trials-r.Successes)
	}
	return nil
}

// validatePart is Validate for a part of a rating, which has no doubt and no suspects of its own.
func (r Rating) validatePart() error {
	if r.Doubt != 0 {
		return ErrInvalidField.Wrapf("doubt: %d; it is of the whole", r.Doubt)
	}
	if r.Suspects != 0 {
		return ErrInvalidField.Wrapf("suspects: %d; they are of the whole", r.Suspects)
	}
	return r.Validate()
}

// MaxRatedSpeed bounds what one run can say of a speed, as a multiple of what is claimed.
const MaxRatedSpeed = 4
