package jobfile

import (
	"slices"
	"strings"

	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// profiles are the kinds of work by their names in job files.
var profiles = map[string]jobstypes.Profile{
	"": jobstypes.PROFILE_UNSPECIFIED, "batch": jobstypes.PROFILE_BATCH, "service": jobstypes.PROFILE_SERVICE, "iot": jobstypes.PROFILE_IOT,
	"game": jobstypes.PROFILE_GAME, "streaming": jobstypes.PROFILE_STREAMING, "storage": jobstypes.PROFILE_STORAGE,
}

var grades = map[string]nodestypes.NetworkGrade{
	"": nodestypes.NETWORK_GRADE_UNSPECIFIED, "A": nodestypes.NETWORK_GRADE_A, "B": nodestypes.NETWORK_GRADE_B, "C": nodestypes.NETWORK_GRADE_C,
}

// ChainProfile is the profile as the chain has it.
func (f *File) ChainProfile() jobstypes.Profile { return profiles[f.Profile] }

// ChainGrade is the least grade as the chain has it.
func (c *Constraints) ChainGrade() nodestypes.NetworkGrade { return grades[c.MinGrade] }

// ProfileName is a profile's name in job files.
func ProfileName(p jobstypes.Profile) string {
	for name, profile := range profiles {
		if profile == p {
			return name
		}
	}
	return strings.ToLower(strings.TrimPrefix(p.String(), "PROFILE_"))
}

func (f *File) checkProfile(l *problemList) {
	if _, known := profiles[f.Profile]; !known {
		l.add("profile", "is %q; use one of %s", clip(f.Profile), names(profiles))
	}
	if _, known := grades[f.Constraints.MinGrade]; !known {
		l.add("constraints.min_grade", "is %q; use one of %s", clip(f.Constraints.MinGrade), names(grades))
	}
}

func names[V any](of map[string]V) string {
	var all []string
	for name := range of {
		if name != "" {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
