package nomad

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/hostvolume"
)

const (
	// pluginAttribute is what a client with the plugin for volumes has.
	pluginAttribute = "plugins.host_volume." + hostvolume.Name + ".version"
	// A volume that was made is not offered to the scheduler before its client has told of it.
	readyPause    = 250 * time.Millisecond
	readyPatience = 30 * time.Second
)

// ErrVolumesFull says that the volumes of a service do not fit beside those of its earlier revisions.
var ErrVolumesFull = errors.New("the volumes do not fit")

// KeptVolume is a volume on a client.
type KeptVolume struct {
	hostvolume.Volume
	// ID is Nomad's.
	ID                string
	region, namespace string
}

// volumes are those that an attempt wants on disk.
func (t *attempt) volumes() (list []hostvolume.Volume) {
	a := t.assignment
	for _, v := range a.Service.Volumes {
		list = append(list, hostvolume.Volume{
			Replica: dispatch.Replica{Job: a.ID.Job, Task: a.FirstTask}, Name: v.Name, Node: t.rec.Place.Node, Height: t.rec.Place.Height,
			MiB: v.SizeMiB, LimitMiB: uint64(a.StorageMiB),
		})
	}
	return list
}

// giveVolumes has a group's task mount the volumes of its service.
func giveVolumes(g *api.TaskGroup, a dispatch.Assignment) {
	task := g.Tasks[len(g.Tasks)-1]
	for _, v := range a.Service.Volumes {
		if g.Volumes == nil {
			g.Volumes = map[string]*api.VolumeRequest{}
		}
		source := hostvolume.Volume{Replica: dispatch.Replica{Job: a.ID.Job, Task: a.FirstTask}, Name: v.Name}.ID()
		g.Volumes[v.Name] = &api.VolumeRequest{
			Name: v.Name, Type: "host", Source: source,
			AccessMode: string(api.HostVolumeAccessModeSingleNodeSingleWriter), AttachmentMode: string(api.HostVolumeAttachmentModeFilesystem),
		}
		task.VolumeMounts = append(task.VolumeMounts, &api.VolumeMount{Volume: new(v.Name), Destination: new(v.Path)})
	}
}

// bringVolumes makes the volumes of a service that its node does not have, and brings the others to their size. Another oracle that does the same is one
// more reason to look again.
func (d *Dispatcher) bringVolumes(ctx context.Context, t *attempt) error {
	if t.assignment.Service == nil || len(t.assignment.Service.Volumes) == 0 {
		return nil
	}
	machine, err := t.region.machine(ctx, t.rec.Place.Node)
	if err != nil || !machine.keeps(t.assignment) {
		return err
	}
	c, namespace := t.region.client, namespaceOf(t.rec.Place)
	want := t.volumes()
	have, err := c.volumesOn(ctx, namespace, machine.Client)
	if err != nil {
		return err
	}
	if err := fit(have, want); err != nil {
		return err
	}
	for _, v := range want {
		there := have[v.ID()]
		if there != nil && there.CapacityBytes == int64(v.MiB)<<20 && there.State != api.HostVolumeStateUnavailable {
			continue
		}
		if err := c.bringVolume(ctx, namespace, machine.Client, there, v); err != nil {
			return err
		}
	}
	return c.awaitVolumes(ctx, namespace, machine.Client, want)
}

// fit counts volumes of the replica that this revision does not name: they are kept, since the revision before may come back.
func fit(have map[string]*api.HostVolumeStub, want []hostvolume.Volume) error {
	sum, named := uint64(0), map[string]bool{}
	for _, v := range want {
		sum, named[v.ID()] = sum+uint64(v.MiB), true
	}
	mine := strings.TrimSuffix(want[0].ID(), want[0].Name)
	for id, there := range have {
		name, ok := strings.CutPrefix(id, mine)
		if ok && !named[id] && dispatch.ServiceName(name) == nil {
			sum += uint64(there.CapacityBytes) >> 20
		}
	}
	if limit := want[0].LimitMiB; sum > limit {
		return fmt.Errorf("%w: they take %d MiB with those of earlier revisions, and the storage is %d MiB", ErrVolumesFull, sum, limit)
	}
	return nil
}

// volumes lists those of the plugin, of all clients if nomadNode is empty. Nomad before 1.10 has none and answers with nothing, which its client takes for
// an error.
func (c *client) volumes(ctx context.Context, namespace, nomadNode string) (list []*api.HostVolumeStub, err error) {
	doing := "list volumes"
	r, err := c.api.Raw().Response("/v1/volumes?type=host&node_id="+url.QueryEscape(nomadNode), c.query(ctx, namespace))
	if err != nil {
		return nil, c.wrap(doing, err)
	}
	raw, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err == nil && len(raw) > 0 {
		err = json.Unmarshal(raw, &list)
	}
	list = slices.DeleteFunc(list, func(v *api.HostVolumeStub) bool { return v.PluginID != hostvolume.Name })
	return list, c.wrap(doing, err)
}

// volumesOn are those of the plugin on a client, by name.
func (c *client) volumesOn(ctx context.Context, namespace, nomadNode string) (map[string]*api.HostVolumeStub, error) {
	list, err := c.volumes(ctx, namespace, nomadNode)
	have := map[string]*api.HostVolumeStub{}
	for _, v := range list {
		have[v.Name] = v
	}
	return have, err
}

// bringVolume makes a volume, or changes the size of the one that is there.
func (c *client) bringVolume(ctx context.Context, namespace, nomadNode string, there *api.HostVolumeStub, v hostvolume.Volume) error {
	volume := &api.HostVolume{
		Namespace: namespace, Name: v.ID(), PluginID: hostvolume.Name, NodeID: nomadNode, Parameters: v.Parameters(),
		// Two attempts at a replica have its volumes one after the other.
		RequestedCapabilities: []*api.HostVolumeCapability{{
			AttachmentMode: api.HostVolumeAttachmentModeFilesystem, AccessMode: api.HostVolumeAccessModeSingleNodeSingleWriter,
		}},
	}
	if there != nil {
		volume.ID = there.ID
	}
	_, _, err := c.api.HostVolumes().Create(&api.HostVolumeCreateRequest{Volume: volume}, c.write(ctx, namespace))
	return c.wrap("make volume "+v.ID(), err)
}

// awaitVolumes waits until volumes can be used.
func (c *client) awaitVolumes(ctx context.Context, namespace, nomadNode string, want []hostvolume.Volume) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyPatience, errors.New("the volumes do not become ready"))
	defer cancel()
	for {
		have, err := c.volumesOn(ctx, namespace, nomadNode)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(want, func(v hostvolume.Volume) bool {
			return have[v.ID()] == nil || have[v.ID()].State != api.HostVolumeStateReady
		}) {
			return nil
		}
		select {
		case <-time.After(readyPause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// KeptVolumes are the volumes of all replicas on the clients of all regions, by replica and name. A volume with parameters that are not the grid's is none. A region that has
// no volumes, as before Nomad 1.10, has none; errors of one region do not keep it from the others.
func (d *Dispatcher) KeptVolumes(ctx context.Context) (all []KeptVolume, err error) {
	for _, name := range slices.Sorted(maps.Keys(d.regions)) {
		c := d.regions[name].client
		list, listErr := c.volumes(ctx, api.AllNamespacesNamespace, "")
		err = errors.Join(err, listErr)
		for _, stub := range list {
			v, readErr := c.keptVolume(ctx, stub)
			switch {
			case errors.Is(readErr, errNotFound), errors.Is(readErr, hostvolume.ErrParameters):
			case readErr != nil:
				err = errors.Join(err, readErr)
			default:
				all = append(all, v)
			}
		}
	}
	slices.SortFunc(all, func(a, b KeptVolume) int {
		return cmp.Or(a.Replica.Compare(b.Replica), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return all, err
}

func (c *client) keptVolume(ctx context.Context, stub *api.HostVolumeStub) (KeptVolume, error) {
	full, _, err := c.api.HostVolumes().Get(stub.ID, c.query(ctx, stub.Namespace))
	if err != nil {
		return KeptVolume{}, c.wrap("read volume "+stub.Name, err)
	}
	v, err := hostvolume.Parse(full.Parameters)
	return KeptVolume{Volume: v, ID: stub.ID, region: c.region, namespace: stub.Namespace}, err
}

// WipeVolume removes a volume for good. Nomad refuses it while an allocation has the volume, and when its client cannot be reached.
func (d *Dispatcher) WipeVolume(ctx context.Context, v KeptVolume) error {
	r, err := d.region(Placement{Region: v.region})
	if err != nil {
		return err
	}
	c := r.client
	_, _, err = c.api.HostVolumes().Delete(&api.HostVolumeDeleteRequest{ID: v.ID}, c.write(ctx, v.namespace))
	if err == nil {
		return nil
	}
	// The answer does not say reliably whether somebody else was first; the volume does.
	_, _, readErr := c.api.HostVolumes().Get(v.ID, c.query(ctx, v.namespace))
	if errors.Is(c.wrap("", readErr), errNotFound) {
		return nil
	}
	return c.wrap("wipe volume "+v.Volume.ID(), err)
}
