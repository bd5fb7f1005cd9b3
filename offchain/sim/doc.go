// Package sim is a world in which matching policies are tried: machines of a real or generated catalogue, a stream of jobs, and what no
// policy sees, the reliability and the speed that each machine really has. Time is simulated event by event; a policy hears of an outcome
// when the run ends and not before, and a run holds its capacity meanwhile.
//
// All policies of a seed meet the same machines, jobs, failures and disturbances, so that their differences can be compared in pairs. The
// oracle knows the hidden values and takes the best node for the job at hand (it does not plan ahead); regret is against its choice in the
// same situation.
//
// The loss of giving a job to a node is that of the design: price·time/s + Φ·(1−p)/p + λ·RTT, with the true p and s.
package sim
