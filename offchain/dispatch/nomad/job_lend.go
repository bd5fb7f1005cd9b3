package nomad

import (
	"fmt"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/inside"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/runner"
)

const (
	// LendTask is the name of the task that brings secrets, and the only one of a job that has a workload identity for the gateway.
	LendTask = "lend"
	// identityLife is how long a token of Nomad's is good; Nomad replaces it at about the half.
	identityLife = 15 * time.Minute
	// What the task takes beside the others. It does nothing but ask.
	lendMHz, lendMemoryMiB = 50, 64
	// lendStarts is how often it is started again beside a batch task, which fails with it.
	lendStarts  = 3
	secretsMode = 0o755
	// audience is that of tokens for the gateway.
	audience = "fog"
)

// lends adds the task that brings the secrets of the others, if they have any. It runs as who shares the folder with them, with the machine's network and no rights.
func lends(g *api.TaskGroup, a dispatch.Assignment, image Image, order runner.Order) error {
	if len(a.Secrets) == 0 {
		return nil
	}
	slim := dispatch.Assignment{ID: order.ID, FirstTask: order.FirstTask, Tasks: order.Tasks}
	args, err := runner.Args(runner.Order{Assignment: slim, Lend: order.Lend})
	if err != nil {
		return err
	}
	config := hardened(image.Ref, image.Username, image.Password)
	config["args"], config["pids_limit"] = append([]string{runner.LendCommand}, args...), runnerPIDs
	config["network_mode"], config["cpu_hard_limit"] = "host", false
	user := runnerUser
	if a.Engine == dispatch.EngineDocker {
		user = insideUser
	}
	task := &api.Task{
		Name: LendTask, Driver: "docker", User: user, Config: config,
		Lifecycle: &api.TaskLifecycle{Hook: api.TaskLifecycleHookPrestart, Sidecar: true},
		Identities: []*api.WorkloadIdentity{{
			Name: runner.IdentityName, Audience: []string{audience}, File: true, TTL: identityLife, ChangeMode: "noop",
		}},
		RestartPolicy: &api.RestartPolicy{Attempts: new(lendStarts), Interval: new(restartInterval), Delay: new(restartDelay), Mode: new("fail")},
		Resources:     &api.Resources{CPU: new(lendMHz), MemoryMB: new(lendMemoryMiB)},
		KillTimeout:   new(killTimeout), KillSignal: "SIGTERM", LogConfig: noLog(),
	}
	if a.Service != nil {
		task.RestartPolicy.Attempts, task.RestartPolicy.Mode = new(restartAttempts), new("delay")
	}
	g.Tasks = append([]*api.Task{task}, g.Tasks...)
	return nil
}

// order is what the runner of an attempt gets.
func order(a dispatch.Assignment, c Content) (runner.Order, error) {
	o := runner.Order{Assignment: a, Lend: c.Lend}
	if len(a.Secrets) > 0 && c.Lend == nil { // whoever may read a Nomad job would have them
		return o, fmt.Errorf("attempt %s needs secrets, and nobody lends them here; run the oracle with --gateway", a.ID)
	}
	if a.Engine == dispatch.EngineDocker {
		o.Image = &c.Image.Defaults
	}
	return o, nil
}

// secretsMount is the folder in which a container finds its secrets.
func secretsMount() map[string]any {
	f := inside.SecretsFolder()
	return map[string]any{"type": "tmpfs", "target": f.Path, "tmpfs_options": []map[string]any{{"size": f.Bytes, "mode": secretsMode}}}
}
