package jobfile

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/foggrid/fogd/offchain/match/constraint"
)

// Limits of wishes and conditions; the chain has the same.
const (
	MaxCondition   = 1024
	MaxPreferences = 8
	MaxWeight      = Ufog(1 << 50)
	MaxWork        = uint64(1 << 45)
)

var jobIDExpr = regexp.MustCompile(`^job1[02-9ac-hj-np-z]{38}$`)

// Values of wishes.spread; empty does not spread.
const (
	SpreadNode       = "node"
	SpreadOwner      = "owner"
	SpreadDatacenter = "datacenter"
	SpreadRegion     = "region"
)

// Wishes weigh the nodes that the constraints allow against each other, and say how the tasks lie. The zero value wishes nothing.
type Wishes struct {
	Work         uint64     `yaml:"work" jsonschema:"minimum=0,maximum=35184372088832" jsonschema_description:"What a task has to compute: its run time in seconds times the measured single-core speed of the core it took that on. By default half of max_duration on the median node."`
	FailureCost  Ufog       `yaml:"failure_cost" jsonschema_description:"What a lost attempt costs you, such as 0.01FOG; by default the task's budget. The higher, the more reliable the nodes."`
	Place        *Place     `yaml:"place" jsonschema_description:"Where the job's users or data are, as LATITUDE,LONGITUDE in degrees, such as 50.11,8.68."`
	LatencyPrice Ufog       `yaml:"latency_price" jsonschema_description:"What a second of round trip to place is worth, such as 0.1FOG."`
	Prefer       []Prefer   `yaml:"prefer" jsonschema:"maxItems=8" jsonschema_description:"Conditions that a node had better meet."`
	Affinity     []Affinity `yaml:"affinity" jsonschema:"maxItems=8" jsonschema_description:"Jobs beside whose tasks to run, on the same nodes."`
	AntiAffinity []Affinity `yaml:"anti_affinity" jsonschema:"maxItems=8" jsonschema_description:"Jobs beside whose tasks not to run."`
	Spread       string     `yaml:"spread" jsonschema:"enum=node,enum=owner,enum=datacenter,enum=region" jsonschema_description:"What to spread the tasks over evenly: node, owner, datacenter or region."`
	Pack         Ufog       `yaml:"pack" jsonschema_description:"What a node that runs nothing must be better by, so that few nodes are used."`
	MaxPerNode   uint32     `yaml:"max_per_node" jsonschema:"minimum=0" jsonschema_description:"Most tasks of the job on one node at a time; no limit by default."`
	MaxPerOwner  uint32     `yaml:"max_per_owner" jsonschema:"minimum=0" jsonschema_description:"Most tasks of the job on all nodes of one owner at a time; no limit by default."`
	Gang         bool       `yaml:"gang" jsonschema:"default=false" jsonschema_description:"Start all tasks together, or none; with at most 256 tasks."`
}

// Prefer is a condition that a node had better meet.
type Prefer struct {
	Where  string `yaml:"where" jsonschema:"required,minLength=1,maxLength=1024" jsonschema_description:"A condition, as in constraints.where."`
	Weight Ufog   `yaml:"weight" jsonschema:"required" jsonschema_description:"What a node that does not meet it must be better by, such as 0.001FOG."`
}

// Affinity is to the nodes that run tasks of another job, or away from them.
type Affinity struct {
	Job    string `yaml:"job" jsonschema:"required,pattern=^job1[02-9ac-hj-np-z]{38}$" jsonschema_description:"Id of the other job (job1…)."`
	Weight Ufog   `yaml:"weight" jsonschema_description:"What a node on the wrong side must be better by; without a weight such a node is never taken."`
}

// Given reports whether anything is wished.
func (w Wishes) Given() bool {
	return w.Work > 0 || w.FailureCost > 0 || w.Place != nil || w.LatencyPrice > 0 || len(w.Prefer)+len(w.Affinity)+len(w.AntiAffinity) > 0 ||
		w.Spread != "" || w.Pack > 0 || w.MaxPerNode > 0 || w.MaxPerOwner > 0 || w.Gang
}

func (w Wishes) check(l *problemList) {
	if w.Work > MaxWork {
		l.add("wishes.work", "is %d; use at most %d", w.Work, MaxWork)
	}
	for _, c := range []struct {
		field  string
		amount Ufog
	}{{"failure_cost", w.FailureCost}, {"latency_price", w.LatencyPrice}, {"pack", w.Pack}} {
		checkWeight(l, "wishes."+c.field, c.amount)
	}
	if w.LatencyPrice > 0 && w.Place == nil {
		l.add("wishes.latency_price", "needs a place to measure from; write wishes.place, such as 50.11,8.68")
	}
	switch w.Spread {
	case "", SpreadNode, SpreadOwner, SpreadDatacenter, SpreadRegion:
	default:
		l.add("wishes.spread", "is %q; use %s, %s, %s or %s", clip(w.Spread), SpreadNode, SpreadOwner, SpreadDatacenter, SpreadRegion)
	}
	if len(w.Prefer) > MaxPreferences {
		l.add("wishes.prefer", "has %d entries; use at most %d", len(w.Prefer), MaxPreferences)
	}
	for i, p := range w.Prefer {
		field := fmt.Sprintf("wishes.prefer[%d]", i)
		if p.Where == "" {
			l.add(field+".where", "is missing; write a condition, such as reliability >= 900")
		}
		checkCondition(l, field+".where", p.Where)
		if p.Weight == 0 {
			l.add(field+".weight", "is missing or 0; say what a node that does not meet the condition must be better by, such as 0.001FOG")
		}
		checkWeight(l, field+".weight", p.Weight)
	}
	w.checkAffinity(l)
}

func (w Wishes) checkAffinity(l *problemList) {
	if n := len(w.Affinity) + len(w.AntiAffinity); n > MaxPreferences {
		l.add("wishes.affinity", "and anti_affinity have %d entries; use at most %d", n, MaxPreferences)
	}
	seen := map[string]bool{}
	for _, list := range []struct {
		field   string
		entries []Affinity
	}{{"wishes.affinity", w.Affinity}, {"wishes.anti_affinity", w.AntiAffinity}} {
		for i, a := range list.entries {
			field := fmt.Sprintf("%s[%d]", list.field, i)
			switch {
			case !jobIDExpr.MatchString(a.Job):
				l.add(field+".job", "is %q; use the id of a job (job1…), as fog job list shows it", clip(a.Job))
			case seen[a.Job]:
				l.add(field+".job", "is %q again; remove one", clip(a.Job))
			}
			seen[a.Job] = true
			checkWeight(l, field+".weight", a.Weight)
		}
	}
}

func checkWeight(l *problemList, field string, amount Ufog) {
	if amount > MaxWeight {
		l.add(field, "is %v; use at most %v", amount, MaxWeight)
	}
}

// checkCondition compiles a condition as the oracles do; empty is none.
func checkCondition(l *problemList, field, source string) {
	source = OneLine(source)
	if len(source) > MaxCondition {
		l.add(field, "has %d bytes; use at most %d", len(source), MaxCondition)
		return
	}
	if i := strings.IndexFunc(source, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
		l.add(field, "has a character at column %d that is not printable ASCII; write it in one line without such characters (YAML's >- joins lines)", i+1)
		return
	}
	if source == "" {
		return
	}
	if _, err := constraint.Compile(source); err != nil {
		l.addErr(field, err)
	}
}

// OneLine is a condition as it is submitted: without the line's end that YAML's blocks leave.
func OneLine(condition string) string { return strings.TrimRight(condition, " \n") }
