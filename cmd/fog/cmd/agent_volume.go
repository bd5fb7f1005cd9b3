package cmd

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/agent/nomadclient"
	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/hostvolume"
	"github.com/foggrid/fogd/offchain/dispatch/volume"
)

// volumePluginName is the command that a Nomad client runs.
const volumePluginName = "volume-plugin"

func newAgentVolumePluginCmd(a *app) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: volumePluginName, Short: "Make volumes of services for this machine's Nomad client, which runs this", Args: cobra.NoArgs,
		Long: `Carry out what a Nomad client of 1.10 or newer wants of its plugin for volumes: it runs this command, as root, and says in the environment what it wants. Volumes are
files with a file system, of a size that the kernel enforces; that needs e2fsprogs. "fog agent run --nomad" has the client use it. Of a client that you run yourself, --install
makes it the plugin "fog", in the folder that the client looks for plugins in; start the client again then.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return a.volumePlugin(cmd.Context())
			}
			command, err := a.volumeCommand()
			if err != nil {
				return err
			}
			if err := nomadclient.WritePlugin(dir, command); err != nil {
				return err
			}
			v := struct {
				File string `json:"file"`
			}{filepath.Join(dir, hostvolume.Name)}
			return a.print(v, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "plugin %s written; start the Nomad client again\n", v.File)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&dir, "install", "", "make this program the plugin in a folder: host_volume_plugins in the client's data_dir, unless its configuration names another")
	return cmd
}

// volumeCommand is how a client runs the plugin: it has no environment, and so no home.
func (a *app) volumeCommand() ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	home, err := filepath.Abs(a.home)
	if err != nil {
		return nil, err
	}
	return []string{self, "--home", home, "agent", volumePluginName}, nil
}

// clientVolumes is the plugin of the client that the agent runs; nil if volumes are memory.
func (a *app) clientVolumes(ctx context.Context, c *chain.Client, f agentFlags) ([]string, error) {
	disk, err := a.disk(ctx, c, f)
	if err != nil || disk == nil {
		return nil, err
	}
	return a.volumeCommand()
}

func (a *app) volumePlugin(ctx context.Context) error {
	disk, err := volume.NewLoop()
	if err != nil {
		return err // a client takes a plugin that fails for none
	}
	return hostvolume.Plugin{Disk: disk, Mount: hostvolume.System{}}.Run(ctx, os.Getenv, a.stdout)
}
