package nomadclient

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"github.com/foggrid/fogd/offchain/handover"
)

// Options of a client; fields without a default must be set.
type Options struct {
	// Program is the nomad program; "nomad", looked for on PATH.
	Program string
	// Dir holds configuration and state; only one client may use it.
	Dir string
	// Node is the node's id on chain, Place where it is registered.
	Node  string
	Place handover.Place
	// Servers are the region's, host:port of their RPC.
	Servers []string
	// CA, Cert and Key are files for mutual TLS; all or none.
	CA, Cert, Key string
	// IntroToken is a file with the token by which the servers let a new client in; none if empty.
	IntroToken string
	// Interface is the network interface whose address is the client's; Nomad's choice if empty.
	Interface string
	// HTTP is host:port of the client's own API; 127.0.0.1:4656.
	HTTP string
	// ReservedMHz and ReservedMiB are left to the machine itself.
	ReservedMHz, ReservedMiB uint64
	// ReservedCores are the processors left to the machine itself, such as 2-7, in the place of ReservedMHz; none if empty.
	ReservedCores string
	// Token is an ACL token with node:write, by which the client is drained; may be empty without ACLs.
	Token string
	// VolumePlugin is the command that is the plugin for volumes of services on disk; with none they are memory, unless there is one from before.
	VolumePlugin []string
	// RetryMin and RetryMax bound the pause before a client that ended is started again; 1 s and 1 min.
	RetryMin, RetryMax time.Duration
	// StopTimeout is how long it may take to end; 30 s.
	StopTimeout time.Duration
	Log         *slog.Logger
}

const (
	// keptAllocs is how many ended allocations a client keeps, whose folders hold results until the oracles have them.
	keptAllocs = 200
	// fullDisk is the percentage at which it gives them up all the same: by default it does so at 80, as soon as they end.
	fullDisk = 95
)

// allowedCaps are the rights of a runner in a job's image (ADR 0020); the job's program has none.
var allowedCaps = []string{"chown", "dac_override", "fowner", "kill", "setgid", "setpcap", "setuid"}

func (o *Options) validate() error {
	switch {
	case o.Dir == "":
		return errors.New("nomad client: no folder")
	case o.Node == "" || o.Place.Region == "":
		return errors.New("nomad client: no node that is registered with a Nomad region")
	case len(o.Servers) == 0:
		return errors.New("nomad client: no server; give --nomad-server host:4647")
	case (o.CA == "") != (o.Cert == "") || (o.Cert == "") != (o.Key == ""):
		return errors.New("nomad client: a CA, a certificate and its key go together")
	}
	for _, s := range o.Servers {
		if _, _, err := net.SplitHostPort(s); err != nil {
			return fmt.Errorf("nomad client: server %q: %w; write host:4647", s, err)
		}
	}
	o.Program = cmp.Or(o.Program, "nomad")
	o.HTTP = cmp.Or(o.HTTP, "127.0.0.1:4656")
	if _, _, err := net.SplitHostPort(o.HTTP); err != nil {
		return fmt.Errorf("nomad client: address %q of its API: %w; write host:port", o.HTTP, err)
	}
	o.RetryMin = cmp.Or(o.RetryMin, time.Second)
	o.RetryMax = cmp.Or(o.RetryMax, time.Minute)
	o.StopTimeout = cmp.Or(o.StopTimeout, 30*time.Second)
	o.Log = cmp.Or(o.Log, slog.Default())
	return nil
}

func (o Options) dataDir() string { return filepath.Join(o.Dir, "data") }

type object = map[string]any

// config is the client's configuration as Nomad reads it: hardened, and with nothing on but what the grid needs.
func (o Options) config() ([]byte, error) {
	host, port, err := net.SplitHostPort(o.HTTP)
	if err != nil {
		return nil, err
	}
	client := object{
		"enabled": true, "servers": o.Servers, "meta": object{"fog_node": o.Node}, "gc_max_allocs": keptAllocs,
		"gc_disk_usage_threshold": fullDisk, "gc_inode_usage_threshold": fullDisk,
		"options": object{
			"driver.allowlist":     "docker",
			"fingerprint.denylist": "env_aws,env_azure,env_digitalocean,env_gce,consul,vault",
		},
		"reserved": object{"cpu": o.ReservedMHz, "memory": o.ReservedMiB},
	}
	if o.ReservedCores != "" {
		client["reserved"] = object{"cores": o.ReservedCores, "memory": o.ReservedMiB}
	}
	for key, value := range map[string]string{"node_pool": o.Place.Pool, "node_class": o.Place.Class, "network_interface": o.Interface} {
		if value != "" {
			client[key] = value
		}
	}
	c := object{
		"name": o.Node, "region": o.Place.Region, "datacenter": cmp.Or(o.Place.Datacenter, "dc1"), "data_dir": o.dataDir(),
		"bind_addr": host, "ports": object{"http": json.Number(port)}, "advertise": object{"http": o.HTTP, "rpc": host, "serf": host},
		"disable_update_check": true, "leave_on_interrupt": false, "leave_on_terminate": false,
		"client": client,
		"plugin": []object{{"docker": []object{{"config": []object{{
			"allow_privileged": false, "allow_caps": allowedCaps, "volumes": []object{{"enabled": false}},
		}}}}}},
		"telemetry": object{"disable_hostname": true},
	}
	if o.CA != "" {
		c["tls"] = object{
			"http": false, "rpc": true, "ca_file": o.CA, "cert_file": o.Cert, "key_file": o.Key, "verify_server_hostname": true,
		}
	}
	return json.MarshalIndent(c, "", "  ")
}
