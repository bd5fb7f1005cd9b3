package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/gateway/gwclient"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/image"
	"github.com/foggrid/fogd/offchain/oracle/nomaddesk"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// Values of --dispatcher.
const (
	dispatcherDirect = "direct"
	dispatcherNomad  = "nomad"
	dispatcherNone   = "none"
)

// nomadFlags say how Nomad is reached and what runs there.
type nomadFlags struct {
	access             nomad.Access
	runner, registry   string
	user, passwordFile string
	cacheVolume        string
	// pullUser and pullPasswordFile are for the contents of jobs.
	pullUser, pullPasswordFile string
}

// addAccess adds the flags of a client.
func (f *nomadFlags) addAccess(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringSliceVar(&f.access.Addresses, "nomad-addr", nil, "URL of a region's Nomad servers, [REGION=]https://host:port; several: a list, or the flag again (default $NOMAD_ADDR)")
	fl.StringSliceVar(&f.access.CAs, "nomad-ca", nil, "file with the CA of the servers, [REGION=]FILE as all --nomad flags (default $NOMAD_CACERT)")
	fl.StringSliceVar(&f.access.Certs, "nomad-cert", nil, "file with the client certificate (default $NOMAD_CLIENT_CERT)")
	fl.StringSliceVar(&f.access.Keys, "nomad-key", nil, "file with its key (default $NOMAD_CLIENT_KEY)")
	fl.StringSliceVar(&f.access.TokenFiles, "nomad-token-file", nil, "file with the ACL token (default: the token in $NOMAD_TOKEN)")
}

// addPull adds the flags of how the runner is brought to the clients, and what it shares there.
func (f *nomadFlags) addPull(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.user, "nomad-runner-user", "", "user with whom clients pull the runner (default: none)")
	fl.StringVar(&f.passwordFile, "nomad-runner-password-file", "", "file with the user's password")
	fl.StringVar(&f.pullUser, "nomad-registry-user", "", "user with whom clients pull modules, images and inputs of jobs (default: none)")
	fl.StringVar(&f.pullPasswordFile, "nomad-registry-password-file", "", "file with that user's password")
	fl.StringVar(&f.cacheVolume, "nomad-cache-volume", "", "host volume of the clients in which runners share compiled modules (default: each task compiles for itself)")
}

// addRunner adds the flags of what runs.
func (f *nomadFlags) addRunner(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.runner, "nomad-runner", "", "image of the runner, host/repository@sha256:…, as fog oracle push-runner prints it")
	fl.StringVar(&f.registry, "nomad-registry", "", "URL at which Nomad's clients reach the registry (default: what a gateway names, else --registry)")
}

var imageRef = regexp.MustCompile(`^[a-z0-9][a-zA-Z0-9.:/_-]*@sha256:[0-9a-f]{64}$`)

// image checks the name of the runner's image.
func (f *nomadFlags) image() (nomad.Image, error) {
	if !imageRef.MatchString(f.runner) {
		return nomad.Image{}, usagef("--nomad-runner is %q; name the image by digest, host/repository@sha256:…, as `fog oracle push-runner` prints it", f.runner)
	}
	img := nomad.Image{Ref: f.runner, Username: f.user, CacheVolume: f.cacheVolume}
	var err error
	img.Password, err = password("--nomad-runner-password-file", f.passwordFile)
	return img, err
}

// password reads the file of a flag, if it was given.
func password(flag, file string) (string, error) {
	if file == "" {
		return "", nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", usagef("%s: %w", flag, err)
	}
	return strings.TrimSpace(string(raw)), nil
}

// pull is with what clients pull the contents of jobs; the file is read each time, so that it can be replaced.
func (f *nomadFlags) pull() (func(context.Context, dispatch.AttemptID) (nomaddesk.Credentials, error), error) {
	if f.pullUser == "" {
		return nil, nil
	}
	read := func() (c nomaddesk.Credentials, err error) {
		c.Username = f.pullUser
		c.Password, err = password("--nomad-registry-password-file", f.pullPasswordFile)
		return c, err
	}
	if _, err := read(); err != nil {
		return nil, err
	}
	return func(context.Context, dispatch.AttemptID) (nomaddesk.Credentials, error) { return read() }, nil
}

// byTickets has clients pull each attempt with a ticket of the gateway, at the registry that it names or, if --nomad-registry is given, at that.
func (f *nomadFlags) byTickets(tokens *gwclient.Tokens) func(context.Context, dispatch.AttemptID) (nomaddesk.Credentials, error) {
	return func(ctx context.Context, id dispatch.AttemptID) (nomaddesk.Credentials, error) {
		t, err := tokens.Ticket(ctx, id)
		return nomaddesk.Credentials{Username: t.User, Password: t.Password, Downloads: t.Downloads, Gateway: t.Gateway, Registry: cmp.Or(f.registry, t.Registry)}, err
	}
}

func (f *nomadFlags) regions() ([]nomad.Region, error) {
	regions, err := f.access.Regions(os.Getenv)
	if err != nil {
		return nil, usagef("--nomad-…: %w", err)
	}
	return regions, nil
}

// desk is what an oracle needs to know of Nomad; nil with another dispatcher.
func (a *app) desk(f nomadFlags, dispatcher string) (*nomaddesk.Options, error) {
	switch dispatcher {
	case dispatcherNone:
		if len(f.access.Addresses) > 0 {
			return nil, usagef("--nomad-addr needs --dispatcher %s", dispatcherNomad)
		}
		return nil, nil
	case dispatcherNomad:
	default:
		return nil, usagef("--dispatcher is %q; it must be %s (agents run everything) or %s", dispatcher, dispatcherNone, dispatcherNomad)
	}
	regions, err := f.regions()
	if err != nil {
		return nil, err
	}
	if len(regions) == 0 {
		return nil, usagef("which Nomad? give --nomad-addr https://host:4646, or $%s", nomad.EnvAddress)
	}
	runner, err := f.image()
	if err != nil {
		return nil, err
	}
	if a.profile.Gateway != "" && f.pullUser != "" {
		return nil, usagef("--nomad-registry-user is for registries without a gateway; with --gateway clients pull each attempt with a ticket of its own")
	}
	pull, err := f.pull()
	if err != nil {
		return nil, err
	}
	return &nomaddesk.Options{
		Dir: filepath.Join(a.home, "nomad"), Regions: regions, Runner: runner, ContentURL: cmp.Or(f.registry, a.profile.Registry), Pull: pull,
	}, nil
}

// nomadNode are the flags that register a node to be served by Nomad.
type nomadNode struct{ place handover.Place }

func (n *nomadNode) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&n.place.Region, "nomad-region", "", "have the oracles run this node's tasks in this Nomad region; its client there says meta.fog_node = the node's id")
	fl.StringVar(&n.place.Namespace, "nomad-namespace", "", "Nomad namespace of its jobs (default: Nomad's default)")
	fl.StringVar(&n.place.Datacenter, "nomad-datacenter", "", "Nomad datacenter of its client (default: any)")
	fl.StringVar(&n.place.Pool, "nomad-pool", "", "Nomad node pool of its client (default: Nomad's default)")
	fl.StringVar(&n.place.Class, "nomad-class", "", "Nomad node class of its client (default: any)")
}

// attributes adds what was given to a node's.
func (n *nomadNode) attributes(to map[string]string) error {
	given := n.place.Attributes()
	if len(given) > 0 && n.place.Region == "" {
		return usagef("--nomad-namespace, --nomad-datacenter, --nomad-pool and --nomad-class need --nomad-region")
	}
	for key, value := range given {
		if _, twice := to[key]; twice {
			return usagef("--attribute %s and the flag --%s say the same; give one", key, strings.ReplaceAll(key, ".", "-"))
		}
		to[key] = value
	}
	return nil
}

func newPushRunnerCmd(a *app) *cobra.Command {
	var arch string
	cmd := &cobra.Command{
		Use: "push-runner PROGRAM", Short: "Push the runner of Nomad's containers to the registry, and print the name of its image", Args: cobra.ExactArgs(1),
		Long: `Push the runner of Nomad's containers to the registry, and print the name of its image for --nomad-runner.

PROGRAM is the static program that "make runner" builds; the image holds nothing else. All oracles name the same image. At a gateway it takes the
role operator.`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.pushRunner(cmd.Context(), args[0], arch) },
	}
	cmd.Flags().StringVar(&arch, "arch", runtime.GOARCH, "architecture that the program was built for")
	return cmd
}

func (a *app) pushRunner(ctx context.Context, program, arch string) error {
	registry, err := a.registry(ctx)
	if err != nil {
		return err
	}
	name, err := pushImage(ctx, registry, a.profile.Registry, program, arch)
	if err != nil {
		return err
	}
	v := struct {
		Image string `json:"image"`
	}{name}
	return a.print(v, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, v.Image)
		return err
	})
}

// pushImage makes an image of one program, pushes it to the registry at a URL, and returns its name.
func pushImage(ctx context.Context, registry *client.Client, at, program, arch string) (name string, err error) {
	temp, err := os.MkdirTemp("", "fog-runner-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	img, err := image.BuildFile(filepath.Join(temp, "image"), program, arch)
	if err != nil {
		return "", hint(err, "give the program that `make runner` builds")
	}
	repo := client.RepoImages
	if registry.Owned() {
		repo = client.RepoRunner
	}
	if err := registry.PushImage(ctx, repo, img); err != nil {
		return "", fmt.Errorf("push the runner: %w", err)
	}
	_, host, _ := strings.Cut(strings.TrimSuffix(at, "/"), "://")
	return fmt.Sprintf("%s/%s@%s", host, repo, img.Digest), nil
}
