package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/foggrid/fogd/offchain/agent"
	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/dispatch/volume"
	"github.com/foggrid/fogd/offchain/nodeclient"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// Where the volumes of services are.
const (
	volumesAuto   = "auto"
	volumesDisk   = "disk"
	volumesMemory = "memory"

	volumesUsage = "where volumes of services are: disk needs root and e2fsprogs, memory is lost with the Docker Engine; auto is disk if that works, and must " +
		"be if the node is registered with it"
	registerVolumesUsage = "where the agent will have the volumes of services: disk, which those need that keep files over updates, or memory; auto is disk " +
		"if this user could, and for Nomad, whose client may run elsewhere, memory"
)

var volumesWhere = []string{volumesAuto, volumesDisk, volumesMemory}

// disk is what keeps the volumes of services; nil if they are memory. A node that is matched to services for its disk must have one.
func (a *app) disk(ctx context.Context, c *chain.Client, f agentFlags) (volume.Disk, error) {
	if !slices.Contains(volumesWhere, f.volumes) {
		return nil, usagef("--volumes is %q; it must be %s", f.volumes, strings.Join(volumesWhere, ", "))
	}
	promised := false
	if f.node != "" {
		node, err := a.awaitNode(ctx, c, f.node)
		if err != nil {
			return nil, err
		}
		promised = node.KeepsVolumes()
	}
	loop, err := loopDisk(f.volumes)
	if err == nil {
		if f.node != "" && !promised {
			a.log.Warn("volumes of services are on disk here, but the node is not registered so, and gets no services that keep any; see `fog node update --volumes disk`")
		}
		return loop, nil
	}
	switch {
	case promised:
		return nil, hint(fmt.Errorf("node %s is registered with volumes on disk, and they would be memory: %w", f.node, err),
			"mend that, or take it back: `fog node update --volumes memory`")
	case f.volumes == volumesDisk:
		return nil, hint(fmt.Errorf("volumes cannot be on disk: %w", err), "mend that, or use --volumes "+volumesMemory)
	}
	if f.volumes == volumesAuto {
		a.log.Warn("volumes of services are memory here and are lost with the Docker Engine", "reason", err)
	}
	return nil, nil
}

// loopDisk is a disk for volumes, or what keeps this machine from having one.
func loopDisk(where string) (*volume.Loop, error) {
	if where == volumesMemory {
		return nil, errors.New("--volumes is " + volumesMemory)
	}
	return volume.NewLoop()
}

// checkVolumes looks at what the flags of a registration say of volumes.
func (f registerFlags) checkVolumes(r agent.Registration) error {
	if !slices.Contains(volumesWhere, f.volumes) {
		return usagef("--volumes is %q; it must be %s", f.volumes, strings.Join(volumesWhere, ", "))
	}
	if _, given := r.Attributes[nodestypes.AttributeVolumes]; given {
		return usagef("--attribute %s says what --volumes is for; use that", nodestypes.AttributeVolumes)
	}
	return nil
}

// registerVolumes says in a registration where its volumes will be. Disk that was asked for is believed: the agent may run as another user.
func (f registerFlags) registerVolumes(r agent.Registration) {
	onDisk := f.volumes == volumesDisk
	if f.volumes == volumesAuto && f.nomad.place.Region == "" && slices.Contains(r.Engines, nodestypes.ENGINE_DOCKER) {
		_, err := volume.NewLoop()
		onDisk = err == nil
	}
	if onDisk {
		r.Attributes[nodestypes.AttributeVolumes] = nodestypes.VolumesDisk
	}
}

// updateVolumes puts a node's attributes into an update if it is to say where volumes are; empty leaves them.
func updateVolumes(ctx context.Context, c *nodeclient.Client, where string, msg *nodestypes.MsgUpdateNode) error {
	if where == "" {
		return nil
	}
	node, err := c.Node(ctx, msg.NodeId)
	if err != nil {
		return err
	}
	msg.Attributes, msg.ReplaceAttributes = node.WithVolumes(where == volumesDisk), true
	return nil
}
