package types

import (
	"slices"

	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// defaultProfileGrades: games and streaming want the best networks, what is reached from outside a good one, batch work takes any.
func defaultProfileGrades() []ProfileGrade {
	return []ProfileGrade{
		{Profile: PROFILE_SERVICE, Grade: nodestypes.NETWORK_GRADE_B},
		{Profile: PROFILE_IOT, Grade: nodestypes.NETWORK_GRADE_B},
		{Profile: PROFILE_GAME, Grade: nodestypes.NETWORK_GRADE_A},
		{Profile: PROFILE_STREAMING, Grade: nodestypes.NETWORK_GRADE_A},
		{Profile: PROFILE_STORAGE, Grade: nodestypes.NETWORK_GRADE_B},
	}
}

// MinGrade is the least network grade of nodes for a job: what it asks for, else that of its profile.
func (p Params) MinGrade(job Job) nodestypes.NetworkGrade {
	if job.Constraints.MinGrade != nodestypes.NETWORK_GRADE_UNSPECIFIED {
		return job.Constraints.MinGrade
	}
	return p.ProfileGrade(job.Profile())
}

// ProfileGrade is the least network grade of nodes for a profile.
func (p Params) ProfileGrade(profile Profile) nodestypes.NetworkGrade {
	for _, g := range p.ProfileGrades {
		if g.Profile == profile {
			return g.Grade
		}
	}
	return nodestypes.NETWORK_GRADE_UNSPECIFIED
}

// Profile is the kind of work that a job is: what it says, else what its type suggests.
func (j Job) Profile() Profile {
	switch {
	case j.Constraints.Profile != PROFILE_UNSPECIFIED:
		return j.Constraints.Profile
	case j.IsService():
		return PROFILE_SERVICE
	}
	return PROFILE_BATCH
}

func validateProfile(field string, profile Profile) error {
	if _, known := Profile_name[int32(profile)]; !known {
		return invalid(field, "%d is not known", profile)
	}
	return nil
}

func (p Params) validateProfileGrades() error {
	increases := slices.IsSortedFunc(p.ProfileGrades, func(a, b ProfileGrade) int { return int(a.Profile) - int(b.Profile) })
	for i, g := range p.ProfileGrades {
		_, profile := Profile_name[int32(g.Profile)]
		_, grade := nodestypes.NetworkGrade_name[int32(g.Grade)]
		if !profile || !grade || g.Profile == PROFILE_UNSPECIFIED || !increases || i > 0 && g.Profile == p.ProfileGrades[i-1].Profile {
			return ErrInvalidParams.Wrapf("profile_grades[%d]: profile %d, grade %d; both must be known, and profiles increase strictly", i, g.Profile, g.Grade)
		}
	}
	return nil
}
