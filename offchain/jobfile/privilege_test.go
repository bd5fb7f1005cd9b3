package jobfile

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
)

// No job file can ask for what lets a container out: there are no such fields, on any level, however they are spelt.
func TestNoFieldGivesPrivileges(t *testing.T) {
	const batch = "version: 1\nname: x\nengine: docker\nimage: x.tar\nprice: {cap_per_task_hour: 1FOG}\nmax_duration: 1m\n"
	const service = "version: 1\nname: x\ntype: service\nengine: docker\nimage: x.tar\nprice: {cap_per_task_hour: 1FOG}\nfunded_time: 1h\n"
	asked := []string{
		"privileged: true", "Privileged: true", "network: host", "network_mode: host", "networks: [host]", "net: host", "pid: host", "ipc: host", "userns: host", "uts: host",
		"cgroup: host", "cgroup_parent: /", "cap_add: [SYS_ADMIN]", "cap_drop: []", "capabilities: [ALL]", "security_opt: [seccomp=unconfined]", "apparmor: unconfined",
		"devices: [/dev/sda]", "device_cgroup_rules: ['a *:* rwm']", "mounts: [{type: bind, source: /, target: /host}]", "binds: [/:/host]", "volumes_from: [x]",
		"docker_socket: true", "user: root", "user: '0:0'", "group_add: [docker]", "read_only: false", "runtime: runc", "sysctls: {kernel.core_pattern: x}", "ulimits: {nproc: -1}",
		"tmpfs: [/x]", "shm_size: 1g", "oom_score_adj: -1000", "pids_limit: -1", "extra_hosts: [metadata:169.254.169.254]", "dns: [8.8.8.8]", "init: true", "entrypoint: /bin/sh",
		"healthcheck: {test: [CMD, sh]}", "raw_exec: true", "driver: raw_exec", "config: {privileged: true}", "host_volumes: [x]", "vault: {policies: [root]}", "template: {data: x}",
		"artifact: {source: file:///etc/passwd}", "constraint: x", "nomad: {}", "logging: {driver: syslog}",
	}
	for _, line := range asked {
		name, _, _ := strings.Cut(line, ":")
		for _, base := range []string{batch, service} {
			_, err := Parse([]byte(base + line + "\n"))
			require.ErrorContains(t, err, name+" is not a field", line)
		}
		inside := "\n  " + line
		for _, group := range []string{"resources", "constraints", "wishes", "price"} {
			text := strings.Replace(batch, "price: {cap_per_task_hour: 1FOG}\n", "", 1)
			if group == "price" {
				text += "price:\n  cap_per_task_hour: 1FOG" + inside + "\n"
			} else {
				text += "price: {cap_per_task_hour: 1FOG}\n" + group + ":" + inside + "\n"
			}
			_, err := Parse([]byte(text))
			require.ErrorContains(t, err, group+"."+name+" is not a field", line)
		}
	}
	for _, base := range []string{batch, service} { // which is good without
		_, err := Parse([]byte(base))
		require.NoError(t, err)
	}
}

// Volumes are folders that the node makes: none is of the host, and none lies where the container or its kernel keeps something.
func TestVolumesOfTheHost(t *testing.T) {
	const service = "version: 1\nname: x\ntype: service\nengine: docker\nimage: x.tar\nprice: {cap_per_task_hour: 1FOG}\nfunded_time: 1h\nvolumes:\n"
	for entry, want := range map[string]string{
		"- /:/host": "is a single value",
		"- {name: x, path: /data, size: 1MiB, source: /etc}":          "volumes[0].source is not a field",
		"- {name: x, path: /data, size: 1MiB, type: bind}":            "volumes[0].type is not a field",
		"- {name: x, path: /data, size: 1MiB, host_path: /etc}":       "volumes[0].host_path is not a field",
		"- {name: x, path: '/data:/etc', size: 1MiB}":                 "volumes[0].path is no good",
		"- {name: x, path: ../../etc, size: 1MiB}":                    "volumes[0].path is no good",
		"- {name: x, path: /data/../../etc, size: 1MiB}":              "volumes[0].path is no good",
		"- {name: x, path: /, size: 1MiB}":                            "volumes[0].path is no good",
		"- {name: x, path: /proc/sys, size: 1MiB}":                    "volumes[0].path is no good",
		"- {name: x, path: /sys/fs/cgroup, size: 1MiB}":               "volumes[0].path is no good",
		"- {name: x, path: /dev, size: 1MiB}":                         "volumes[0].path is no good",
		"- {name: x, path: /data, size: 99999999GiB}":                 "volumes[0].size",
		"- {name: ../../../etc, path: /data, size: 1MiB}":             "volumes[0].name is no good",
		"- {name: '/var/run/docker.sock', path: /docker, size: 1MiB}": "volumes[0].name is no good",
	} {
		_, err := Parse([]byte(service + "  " + entry + "\n"))
		require.ErrorContains(t, err, want, entry)
	}
}

// Nor can a spec that somebody writes without a job file: what it does not know, it refuses, and so does what reads the chain.
func TestNoSpecGivesPrivileges(t *testing.T) {
	f, err := Parse([]byte("version: 1\nname: x\nengine: docker\nimage: x.tar\nprice: {cap_per_task_hour: 1FOG}\nmax_duration: 1m\n"))
	require.NoError(t, err)
	s, err := f.Spec(artifact.DigestOf([]byte("image")), artifact.Digest{})
	require.NoError(t, err)
	_, err = ParseSpec(s.Canonical())
	require.NoError(t, err)
	for _, name := range []string{"privileged", "Privileged", "network_mode", "mounts", "binds", "cap_add", "devices", "user", "host_config", "pid_mode", "security_opt"} {
		var fields map[string]any
		require.NoError(t, json.Unmarshal(s.Canonical(), &fields))
		fields[name] = true
		raw, err := json.Marshal(fields)
		require.NoError(t, err)
		_, err = ParseSpec(raw)
		require.ErrorIs(t, err, ErrSpec, name)
		require.ErrorContains(t, err, "unknown field")
	}
	for _, name := range []string{"FOG_JOB", "FOG_TASK_INDEX", "FOG_SECRET_TOKEN", "BAD-NAME", "A=B", "", "NUL\x00"} {
		bad := s
		bad.Env = map[string]string{name: "x"}
		require.ErrorIs(t, bad.Validate(), ErrSpec, name)
	}
}
