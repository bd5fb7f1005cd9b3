package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/foggrid/fogd/offchain/artifact"
)

// Media types of the OCI image specification, and those of Docker that stand for the same.
const (
	MediaManifest = "application/vnd.oci.image.manifest.v1+json"
	MediaConfig   = "application/vnd.oci.image.config.v1+json"
	MediaIndex    = "application/vnd.oci.image.index.v1+json"
	MediaLayer    = "application/vnd.oci.image.layer.v1.tar"
	MediaLayerGz  = "application/vnd.oci.image.layer.v1.tar+gzip"

	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	dockerLayer    = "application/vnd.docker.image.rootfs.diff.tar"
	dockerLayerGz  = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

const (
	// MaxLayers is the largest number of layers of an image.
	MaxLayers = 128
	// MaxJSON is the most that is read of a manifest, a config or an index.
	MaxJSON = 4 << 20
)

// ErrInvalid says that content is not an image that can be run here.
var ErrInvalid = errors.New("not a usable container image")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// Descriptor names a blob. The order of its fields is that in which they are written.
type Descriptor struct {
	MediaType string          `json:"mediaType"`
	Digest    artifact.Digest `json:"digest"`
	Size      int64           `json:"size"`
	Platform  *Platform       `json:"platform,omitempty"`
	// Annotations are kept in an index only, where tools look for names.
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Platform is what an image runs on, in Go's names.
type Platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

// Manifest is an image for one platform.
type Manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        Descriptor   `json:"config"`
	Layers        []Descriptor `json:"layers"`
}

// Config is the part of an image's configuration that matters here.
type Config struct {
	Platform
	Config Defaults `json:"config"`
	RootFS RootFS   `json:"rootfs"`
}

// Defaults are what a container of the image gets unless it is told otherwise.
type Defaults struct {
	Env        []string `json:"Env,omitempty"`
	Entrypoint []string `json:"Entrypoint,omitempty"`
	Cmd        []string `json:"Cmd,omitempty"`
	WorkingDir string   `json:"WorkingDir,omitempty"`
	// Volumes are the paths that the image wants to write to.
	Volumes map[string]struct{} `json:"Volumes,omitempty"`
}

// RootFS names the layers by what they hold once they are unpacked.
type RootFS struct {
	Type    string            `json:"type"`
	DiffIDs []artifact.Digest `json:"diff_ids"`
}

// index is a list of manifests.
type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType,omitempty"`
	Manifests     []Descriptor `json:"manifests"`
}

// parseManifest reads a manifest and checks its form.
func parseManifest(raw []byte) (Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, invalid("the manifest is not JSON: %v", err)
	}
	if m.MediaType == "" && m.SchemaVersion == 2 {
		m.MediaType = MediaManifest // OCI lets it be left out
	}
	if m.MediaType != MediaManifest && m.MediaType != dockerManifest {
		return m, invalid("the manifest has the media type %.80q; give the manifest of one platform", m.MediaType)
	}
	if m.Config.MediaType != MediaConfig && m.Config.MediaType != dockerConfig {
		return m, invalid("it is an artifact with a config of type %.80q, not a container image", m.Config.MediaType)
	}
	if len(m.Layers) > MaxLayers {
		return m, invalid("it has %d layers; at most %d are allowed", len(m.Layers), MaxLayers)
	}
	for i, l := range slices.Concat([]Descriptor{m.Config}, m.Layers) {
		if l.Digest.IsZero() || l.Size < 0 {
			return m, invalid("blob %d of the manifest has the digest %s and %d bytes", i, l.Digest, l.Size)
		}
	}
	for i, l := range m.Layers {
		if !isPlain(l.MediaType) && !isGzip(l.MediaType) {
			return m, invalid("layer %d has the media type %.80q; save the image with layers that are plain or compressed with gzip", i, l.MediaType)
		}
	}
	return m, nil
}

// ManifestTypes are the media types of manifests that are understood.
func ManifestTypes() []string { return []string{MediaManifest, dockerManifest} }

func isPlain(mediaType string) bool { return mediaType == MediaLayer || mediaType == dockerLayer }

func isGzip(mediaType string) bool { return mediaType == MediaLayerGz || mediaType == dockerLayerGz }

// parseConfig reads the config of a manifest.
func parseConfig(raw []byte, m Manifest) (Config, error) {
	var c Config
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, invalid("the config is not JSON: %v", err)
	}
	if c.OS != "linux" || c.Architecture == "" {
		return c, invalid("it is for %s/%s; build it for linux", c.OS, c.Architecture)
	}
	if len(c.RootFS.DiffIDs) != len(m.Layers) {
		return c, invalid("the config names %d layers, the manifest %d", len(c.RootFS.DiffIDs), len(m.Layers))
	}
	return c, nil
}
