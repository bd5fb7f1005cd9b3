package hostvolume

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// Name is the plugin's in Nomad: the name of its file in the client's folder of plugins.
const Name = "fog"

// Prefix begins the names of all volumes in Nomad.
const Prefix = "fog-"

// The names of parameters.
const (
	paramNode   = "node"
	paramJob    = "job"
	paramTask   = "task"
	paramVolume = "volume"
	paramMiB    = "mib"
	paramLimit  = "limit_mib"
	paramHeight = "height"
)

// ErrParameters says that a volume of Nomad's is not one that a dispatcher asked for.
var ErrParameters = errors.New("not the parameters of a volume of the grid")

// Volume is one of a replica of a service, on a node of the chain.
type Volume struct {
	Replica dispatch.Replica
	Name    string
	// Node is the chain's, Height that of the chain when it was asked for.
	Node   string
	Height int64
	MiB    uint32
	// LimitMiB is what all volumes of the replica may take together.
	LimitMiB uint64
}

// ID is the volume's name in Nomad.
func (v Volume) ID() string {
	return fmt.Sprintf("%s%s-t%d-%s", Prefix, v.Replica.Job, v.Replica.Task, v.Name)
}

// Parameters are what the plugin is told of the volume.
func (v Volume) Parameters() map[string]string {
	return map[string]string{
		paramNode: v.Node, paramJob: v.Replica.Job, paramTask: strconv.FormatUint(uint64(v.Replica.Task), 10), paramVolume: v.Name,
		paramMiB: strconv.FormatUint(uint64(v.MiB), 10), paramLimit: strconv.FormatUint(v.LimitMiB, 10),
		paramHeight: strconv.FormatInt(v.Height, 10),
	}
}

// Parse reads what Parameters wrote.
func Parse(params map[string]string) (Volume, error) {
	task, taskErr := strconv.ParseUint(params[paramTask], 10, 32)
	mib, mibErr := strconv.ParseUint(params[paramMiB], 10, 32)
	limit, limitErr := strconv.ParseUint(params[paramLimit], 10, 64)
	height, heightErr := strconv.ParseInt(params[paramHeight], 10, 64)
	v := Volume{
		Replica: dispatch.Replica{Job: params[paramJob], Task: uint32(task)}, Name: params[paramVolume], Node: params[paramNode],
		Height: height, MiB: uint32(mib), LimitMiB: limit,
	}
	err := errors.Join(taskErr, mibErr, limitErr, heightErr, dispatch.AttemptID{Job: v.Replica.Job}.Validate(), dispatch.ServiceName(v.Name))
	if v.MiB == 0 || v.Node == "" {
		err = errors.Join(err, errors.New("no size or no node"))
	}
	if err != nil {
		return Volume{}, fmt.Errorf("%w: %w", ErrParameters, err)
	}
	return v, nil
}
