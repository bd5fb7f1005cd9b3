package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"sort"
	"strings"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry/ref"
)

// Media types of manifests that may be pushed.
const (
	mediaOCIManifest    = "application/vnd.oci.image.manifest.v1+json"
	mediaOCIIndex       = "application/vnd.oci.image.index.v1+json"
	mediaDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	mediaDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       artifact.Digest   `json:"digest"`
	Size         int64             `json:"size"`
	URLs         []string          `json:"urls,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
}

// manifest is an image manifest or an index, with only what the registry looks at.
type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        *descriptor       `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Manifests     []descriptor      `json:"manifests"`
	Subject       *descriptor       `json:"subject"`
	Annotations   map[string]string `json:"annotations"`
}

// manifestLink is the file by which a repository holds a manifest.
type manifestLink struct {
	MediaType string          `json:"mediaType"`
	Subject   artifact.Digest `json:"subject,omitzero"`
}

// maxParts bounds what a manifest becomes in memory, where a descriptor of three bytes takes a hundred. It is counted when one is pushed, so those that
// are held can be read.
const maxParts = 100_000

// tagLink is the file of a tag.
type tagLink struct {
	Tag    string          `json:"tag"`
	Digest artifact.Digest `json:"digest"`
}

func isIndex(mediaType string) bool {
	return mediaType == mediaOCIIndex || mediaType == mediaDockerList
}

func manifestInvalid(format string, args ...any) error {
	return refuse(http.StatusBadRequest, "MANIFEST_INVALID", format, args...)
}

// parseManifest checks the shape of a manifest. mediaType is what the client says it is; the content must not say otherwise.
func parseManifest(mediaType string, data []byte) (manifest, error) {
	var m manifest
	switch mediaType {
	case mediaOCIManifest, mediaOCIIndex, mediaDockerManifest, mediaDockerList:
	default:
		return m, refuse(http.StatusUnsupportedMediaType, "MANIFEST_INVALID", "media type %q is not a manifest; set Content-Type", mediaType)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, manifestInvalid("manifest is not JSON of the expected shape: %v", err)
	}
	switch {
	case m.SchemaVersion != 2:
		return m, manifestInvalid("schemaVersion is %d; use 2", m.SchemaVersion)
	case m.MediaType != "" && m.MediaType != mediaType:
		return m, manifestInvalid("mediaType is %q, Content-Type %q; make them equal", m.MediaType, mediaType)
	case isIndex(mediaType) && (m.Config != nil || len(m.Layers) > 0):
		return m, manifestInvalid("an index has no config and no layers")
	case !isIndex(mediaType) && len(m.Manifests) > 0:
		return m, manifestInvalid("an image manifest has no manifests")
	case !isIndex(mediaType) && m.Config == nil:
		return m, manifestInvalid("config is missing; use the empty descriptor if there is none")
	}
	for _, d := range m.references() {
		if d.Digest.IsZero() {
			return m, manifestInvalid("a descriptor has no digest")
		}
		if d.Size < 0 {
			return m, manifestInvalid("descriptor %s: size %d; use the content's length", d.Digest, d.Size)
		}
	}
	return m, nil
}

// references are all descriptors, the subject included.
func (m manifest) references() []descriptor {
	all := append(m.blobs(), m.Manifests...)
	if m.Subject != nil {
		all = append(all, *m.Subject)
	}
	return all
}

// blobs are config and layers.
func (m manifest) blobs() []descriptor {
	var all []descriptor
	if m.Config != nil {
		all = append(all, *m.Config)
	}
	return append(all, m.Layers...)
}

// missing says that a manifest names content that its repository does not hold.
func missing(kind string, d descriptor) error {
	return refuse(http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN", "the manifest names %s %s, which this repository does not hold; push it first", kind, d.Digest)
}

// checkReferences makes sure that a puller will find everything, in the size announced; foreign layers are elsewhere.
func (r *Registry) checkReferences(repo string, m manifest) error {
	for _, d := range m.blobs() {
		if len(d.URLs) > 0 {
			continue
		}
		info, err := r.statBlob(repo, d.Digest)
		var api *apiError
		if errors.As(err, &api) {
			return missing("blob", d)
		}
		if err != nil {
			return err
		}
		if info.Size() != d.Size {
			return refuse(http.StatusBadRequest, "SIZE_INVALID", "blob %s has %d bytes, the manifest says %d", d.Digest, info.Size(), d.Size)
		}
	}
	return nil
}

// stillComplete repeats the cheap half of checkReferences under the gate.
func (r *Registry) stillComplete(repo string, m manifest) error {
	for _, d := range m.blobs() {
		if len(d.URLs) > 0 {
			continue
		}
		if err := r.stillHeld(repo, d.Digest); err != nil {
			return missing("blob", d)
		}
	}
	for _, d := range m.Manifests {
		held, err := exists(r.manifestMark(repo, d.Digest))
		if err != nil {
			return err
		}
		if !held {
			return missing("manifest", d)
		}
	}
	return nil
}

// putManifest stores a manifest, and the tag if the reference is one.
func (r *Registry) putManifest(repo string, at ref.Reference, mediaType string, data []byte) (artifact.Digest, manifest, error) {
	d := artifact.DigestOf(data)
	if !at.Digest.IsZero() && at.Digest != d {
		return d, manifest{}, refuse(http.StatusBadRequest, "DIGEST_INVALID", "manifest has digest %s, not %s", d, at.Digest)
	}
	if n := bytes.Count(data, []byte{','}); n > maxParts {
		return d, manifest{}, manifestInvalid("the manifest has %d commas, the most is %d; make it smaller", n, maxParts)
	}
	m, err := parseManifest(mediaType, data)
	if err != nil {
		return d, m, err
	}
	if err := r.checkReferences(repo, m); err != nil {
		return d, m, err
	}
	r.gate.RLock()
	defer r.gate.RUnlock()
	if err := r.stillComplete(repo, m); err != nil {
		return d, m, err
	}
	if err := r.writeContent(d, data); err != nil {
		return d, m, err
	}
	defer r.noteChange()
	link := manifestLink{MediaType: mediaType}
	if m.Subject != nil {
		link.Subject = m.Subject.Digest
	}
	if err := r.writeJSON(r.manifestMark(repo, d), link); err != nil {
		return d, m, err
	}
	if !link.Subject.IsZero() {
		if err := mark(r.referrerMark(repo, link.Subject, d)); err != nil {
			return d, m, err
		}
	}
	if at.Tag == "" {
		return d, m, nil
	}
	return d, m, r.writeJSON(r.tagPath(repo, at.Tag), tagLink{at.Tag, d})
}

// writeContent stores small content that has been hashed in memory.
func (r *Registry) writeContent(d artifact.Digest, data []byte) error {
	f, err := os.CreateTemp(r.uploadDir(), "manifest-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = r.placeContent(f.Name(), d)
	}
	if err != nil {
		return errors.Join(err, removeIfExists(f.Name()))
	}
	return nil
}

func (r *Registry) writeJSON(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeFile(r.uploadDir(), path, data)
}

// readJSON reports whether the file exists.
func readJSON(path string, v any) (bool, error) {
	data, err := os.ReadFile(path) //nolint:gosec // a digest in hex
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, json.Unmarshal(data, v)
}

// resolve turns a reference into the digest and media type of a manifest that the repository holds.
func (r *Registry) resolve(repo string, at ref.Reference) (artifact.Digest, manifestLink, error) {
	var link manifestLink
	d := at.Digest
	if at.Tag != "" {
		var tag tagLink
		found, err := readJSON(r.tagPath(repo, at.Tag), &tag)
		if err != nil {
			return artifact.Digest{}, link, err
		}
		if !found {
			return artifact.Digest{}, link, manifestUnknown(at)
		}
		d = tag.Digest
	}
	found, err := readJSON(r.manifestMark(repo, d), &link)
	if err == nil && !found {
		err = manifestUnknown(at)
	}
	return d, link, err
}

// readManifest returns verified bytes.
func (r *Registry) readManifest(d artifact.Digest) ([]byte, error) {
	f, _, err := r.openContent(d)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	return data, errors.Join(err, f.Close())
}

// tags returns the tags of a repository in order.
func (r *Registry) tags(repo string) ([]tagLink, error) {
	entries, err := list(r.repoPath(repo, tagsDir))
	if err != nil {
		return nil, err
	}
	tags := make([]tagLink, 0, len(entries))
	for _, e := range entries {
		var t tagLink
		found, err := readJSON(r.repoPath(repo, tagsDir, e.Name()), &t)
		if err != nil {
			return nil, err
		}
		if found {
			tags = append(tags, t)
		}
	}
	sort.Slice(tags, func(i, j int) bool { return tags[i].Tag < tags[j].Tag })
	return tags, nil
}

// deleteManifest removes a tag, or a manifest with all its tags.
func (r *Registry) deleteManifest(repo string, at ref.Reference) error {
	r.gate.Lock()
	defer r.gate.Unlock()
	d, link, err := r.resolve(repo, at)
	if err != nil {
		return err
	}
	defer r.noteChange()
	if at.Tag != "" {
		return removeIfExists(r.tagPath(repo, at.Tag))
	}
	tags, err := r.tags(repo)
	if err != nil {
		return err
	}
	for _, t := range tags {
		if t.Digest != d {
			continue
		}
		if err := removeIfExists(r.tagPath(repo, t.Tag)); err != nil {
			return err
		}
	}
	return r.unlinkManifest(repo, d, link)
}

func (r *Registry) unlinkManifest(repo string, d artifact.Digest, link manifestLink) error {
	if !link.Subject.IsZero() {
		if err := removeIfExists(r.referrerMark(repo, link.Subject, d)); err != nil {
			return err
		}
	}
	return removeIfExists(r.manifestMark(repo, d))
}

// referrers describes the manifests that name subject, in order of their digests, those after last and as many as fit into the size of a manifest; more
// says that some are left. "" is every artifact type.
func (r *Registry) referrers(repo string, subject artifact.Digest, artifactType, last string) (found []descriptor, more bool, err error) {
	entries, err := list(r.repoPath(repo, referrersDir, subject.Hex()))
	if err != nil {
		return nil, false, err
	}
	found, size := []descriptor{}, 0
	for _, e := range entries {
		if strings.Compare(e.Name(), last) <= 0 {
			continue
		}
		d, err := digestOfName(e.Name())
		if err != nil {
			return nil, false, err
		}
		described, held, err := r.referrer(repo, d)
		if err != nil {
			return nil, false, err
		}
		if !held || artifactType != "" && artifactType != described.ArtifactType {
			continue
		}
		text, err := json.Marshal(described)
		if err != nil {
			return nil, false, err
		}
		if size += len(text); int64(size) > r.opts.MaxManifestBytes && len(found) > 0 {
			return found, true, nil
		}
		found = append(found, described)
	}
	return found, false, nil
}

// referrer describes one, if the repository holds it yet.
func (r *Registry) referrer(repo string, d artifact.Digest) (found descriptor, held bool, err error) {
	var link manifestLink
	if held, err := readJSON(r.manifestMark(repo, d), &link); err != nil || !held {
		return found, false, err
	}
	data, err := r.readManifest(d)
	if errors.Is(err, errMissing) {
		return found, false, nil
	}
	if err != nil {
		return found, false, err
	}
	m, err := parseManifest(link.MediaType, data)
	if err != nil {
		return found, false, err
	}
	kind := m.ArtifactType
	if kind == "" && m.Config != nil {
		kind = m.Config.MediaType
	}
	return descriptor{MediaType: link.MediaType, Digest: d, Size: int64(len(data)), ArtifactType: kind, Annotations: m.Annotations}, true, nil
}
