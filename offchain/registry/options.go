package registry

import (
	"log/slog"
	"time"

	"github.com/foggrid/fogd/offchain/registry/copies"
)

// Options limits what clients may do; zero values mean the defaults.
type Options struct {
	// MaxBlobBytes is the largest blob, 8 GiB by default.
	MaxBlobBytes int64
	// MaxManifestBytes is the largest manifest, 4 MiB by default as the specification suggests.
	MaxManifestBytes int64
	// MaxUploads is the number of upload sessions open at a time, 256 by default.
	MaxUploads int
	// UploadIdle is how long a session may rest before it is dropped, 1 hour by default.
	UploadIdle time.Duration
	// Copies keep what the registry holds a second time; Mirror writes them, and content that is missing or corrupt here comes back from them.
	Copies []copies.Store
	// Guard decides who may do what; nil lets everybody do everything.
	Guard Guard
	// Quota says what limit holds for a repository, if one does; nil means none. Its error refuses the push.
	Quota func(repo string) (q Quota, limited bool, err error)
	// MaxUploadsEach is the number of upload sessions open at a time for the repositories of one quota; zero means MaxUploads.
	MaxUploadsEach int
	// KeepFree is how many bytes of the disk pushes leave free; zero means none.
	KeepFree int64
	// Logger receives failures of the registry itself; slog.Default by default.
	Logger *slog.Logger
	// Now is the clock, time.Now by default.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.MaxBlobBytes <= 0 {
		o.MaxBlobBytes = 8 << 30
	}
	if o.MaxManifestBytes <= 0 {
		o.MaxManifestBytes = 4 << 20
	}
	if o.MaxUploads <= 0 {
		o.MaxUploads = 256
	}
	if o.UploadIdle <= 0 {
		o.UploadIdle = time.Hour
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}
