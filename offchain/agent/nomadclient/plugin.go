package nomadclient

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/foggrid/fogd/offchain/dispatch/nomad/hostvolume"
)

// pluginDir is where a client looks for plugins for volumes if its configuration does not say; Nomad before 1.10 does not know the setting.
const pluginDir = "host_volume_plugins"

// WritePlugin makes a command the plugin for volumes of services in a client's folder of plugins. It is replaced as a whole: the client may run it now.
func WritePlugin(dir string, command []string) error {
	words := make([]string, len(command))
	for i, w := range command {
		words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("nomad client: folder of plugins: %w", err)
	}
	fresh := filepath.Clean(dir) + ".new" // not in the folder, where each program is a plugin
	if err := os.WriteFile(fresh, []byte("#!/bin/sh\nexec "+strings.Join(words, " ")+"\n"), 0o600); err != nil {
		return err
	}
	if err := os.Chmod(fresh, 0o700); err != nil { //nolint:gosec // it is a program
		return err
	}
	return os.Rename(fresh, filepath.Join(dir, hostvolume.Name))
}
