package inside

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// secretsBytes is room for all the secrets that a task can have.
const secretsBytes = dispatch.MaxSecrets*(dispatch.MaxSecretBytes+blockSize) + blockSize

// SecretsFolder is the one for the secrets of a task, a tmpfs of this process; the program can read in it what is its own.
func SecretsFolder() Folder { return Folder{dispatch.SecretsDir, secretsBytes} }

// PutSecrets brings what secrets hold to where the program finds them. It reads them as its own files in a folder that is not.
func PutSecrets(secrets []dispatch.Secret) error {
	// What the image has there says whose the mount is.
	if err := errors.Join(os.Chown(dispatch.SecretsDir, 0, 0), os.Chmod(dispatch.SecretsDir, 0o755)); err != nil {
		return err
	}
	for _, s := range secrets {
		path := filepath.Join(dispatch.SecretsDir, s.Name)
		err := os.Remove(path)
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		if err = errors.Join(err, os.WriteFile(path, s.Value, 0o400)); err == nil {
			err = os.Chown(path, uid, uid)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
