package nomad

import (
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/inside"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/runner"
)

const (
	imagePIDs, imageFiles = 512, 4096
	// insideUser is root without rights but those of insideCaps: to become the task's user without any, to end its processes, and to keep it from its files.
	insideUser = "0:0"
	hostname   = "task"

	allocPath      = "/alloc"
	inputsOnClient = "../" + allocName + "/" + runner.InputsDir // from the task's own folder
	allocName      = "alloc"
	inPath         = "/in"
	openMode       = 0o1777

	// serviceStop is how long a service may take to end: longer than the runner leaves its program.
	serviceStop = 15 * time.Second
)

var insideCaps = []string{"chown", "dac_override", "fowner", "kill", "setgid", "setpcap", "setuid"}

// imageTasks gives a group a container of the job's image for each task, and what has to run before it.
func imageTasks(g *api.TaskGroup, o runner.Order, m Machine, c Content, image Image) error {
	a := o.Assignment
	if c.Image.Ref == "" {
		return fmt.Errorf("attempt %s: nobody says where its image is", a.ID)
	}
	args, err := runner.Args(o)
	if err != nil {
		return err
	}
	g.Tasks = []*api.Task{prepareTask(a, m, c, image, args), imageTask(a, m, c, args)}
	if a.Service == nil {
		return nil
	}
	if m.keeps(a) {
		giveVolumes(g, a)
	}
	return serve(g, a)
}

// prepareTask brings the runner and the inputs to where the other task finds them.
func prepareTask(a dispatch.Assignment, m Machine, c Content, image Image, args []string) *api.Task {
	config := hardened(image.Ref, image.Username, image.Password)
	config["args"], config["pids_limit"] = append([]string{runner.PrepareCommand}, args...), runnerPIDs
	task := &api.Task{
		Name: prepareName, Driver: "docker", User: runnerUser, Config: config, Lifecycle: &api.TaskLifecycle{Hook: api.TaskLifecycleHookPrestart},
		Resources: m.resources(a), KillTimeout: new(killTimeout), KillSignal: "SIGTERM", LogConfig: noLog(),
	}
	if !a.Inputs.IsZero() {
		task.Artifacts = []*api.TaskArtifact{download(c.Inputs, runner.InputsFile)}
	}
	return task
}

// gpuDevice is what Nomad's plugin for NVIDIA calls a GPU.
const gpuDevice = "nvidia/gpu"

// imageTask is a container of the job's image with the runner as its first process.
func imageTask(a dispatch.Assignment, m Machine, c Content, args []string) *api.Task {
	config := hardened(c.Image.Ref, c.Image.Username, c.Image.Password)
	config["entrypoint"], config["args"] = []string{path.Join(allocPath, runner.ProgramFile)}, args
	config["cap_add"], config["hostname"], config["pids_limit"] = insideCaps, hostname, imagePIDs
	config["ulimit"] = []map[string]any{{"nofile": fmt.Sprint(imageFiles), "core": "0"}}
	config["mount"] = mounts(a, m, c)
	timeout := killTimeout
	if a.Service != nil {
		timeout = serviceStop
	}
	resources := m.resources(a)
	if a.GPUs > 0 { // of the model that the chain has matched the node by
		resources.Devices = []*api.RequestedDevice{{Name: gpuDevice, Count: new(uint64(a.GPUs))}}
	}
	return &api.Task{
		Name: taskName, Driver: "docker", User: insideUser, Config: config, Resources: resources,
		KillTimeout: &timeout, KillSignal: "SIGTERM", LogConfig: noLog(),
	}
}

// mounts are the folders of a container beside its image and its volumes on disk.
func mounts(a dispatch.Assignment, m Machine, c Content) (list []map[string]any) {
	for _, f := range (&inside.Container{Image: c.Image.Defaults}).Folders(a) {
		if m.keeps(a) && slices.ContainsFunc(a.Service.Volumes, func(v dispatch.Volume) bool { return v.Path == f.Path }) {
			continue
		}
		list = append(list, map[string]any{
			"type": "tmpfs", "target": f.Path, "tmpfs_options": []map[string]any{{"size": f.Bytes, "mode": openMode}},
		})
	}
	if len(a.Secrets) > 0 {
		list = append(list, secretsMount())
	}
	if !a.Inputs.IsZero() {
		list = append(list, map[string]any{"type": "bind", "source": inputsOnClient, "target": inPath, "readonly": true})
	}
	return list
}
