package cmd

import (
	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/deploy/nginx"
)

func newGatewayNginxCmd(a *app) *cobra.Command {
	g, machines := nginx.Gateway{}, nginx.Machines{}
	write := &cobra.Command{
		Use: "nginx", Short: "Print the configuration of nginx in front of the gateway", Args: cobra.NoArgs,
		Long: `Print the configuration of nginx in front of the gateway: a port for people and CI, who show tokens, and with --machines-port one for machines,
which must show certificates of the gateway's authority. There nginx checks certificates and the list of revoked ones, the gateway and nginx check
each other's, and the gateway looks at the client's again.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if g.Host == "" {
				return usagef("give --host, the public name of the gateway")
			}
			if g.Certificate == "" {
				g.Certificate = "/etc/letsencrypt/live/" + g.Host + "/fullchain.pem"
			}
			if g.Key == "" {
				g.Key = "/etc/letsencrypt/live/" + g.Host + "/privkey.pem"
			}
			if machines.Port != 0 {
				g.Machines = &machines
			} else if cmd.Flags().Changed("machines-upstream") || cmd.Flags().Changed("machines-tls") {
				return usagef("--machines-upstream and --machines-tls go with --machines-port")
			}
			if err := g.Write(a.stdout); err != nil {
				return usagef("%w", err)
			}
			return nil
		},
	}
	write.Flags().StringVar(&g.Host, "host", "", "public name of the gateway")
	write.Flags().StringVar(&g.Upstream, "upstream", "127.0.0.1:8080", "host:port on which the gateway listens")
	write.Flags().StringVar(&g.Registry, "registry-upstream", "", "host:port of a registry beside the gateway (fog gateway run --external-registry); \"\" for the gateway's own")
	write.Flags().StringVar(&g.Certificate, "certificate", "", "PEM file of the certificate (default: where certbot puts it)")
	write.Flags().StringVar(&g.Key, "certificate-key", "", "PEM file of its key (default: where certbot puts it)")
	write.Flags().Uint16Var(&g.HTTPPort, "http-port", 80, "port that redirects to TLS")
	write.Flags().Uint16Var(&g.HTTPSPort, "https-port", 443, "port with TLS")
	write.Flags().Uint16Var(&machines.Port, "machines-port", 0, "port that demands certificates of the gateway's authority; 0 for none")
	write.Flags().StringVar(&machines.Upstream, "machines-upstream", "127.0.0.1:8081", "host:port of the gateway's door for machines (fog gateway run --machines)")
	write.Flags().StringVar(&machines.Dir, "machines-tls", "/etc/nginx/fog", "folder of cert.pem and key.pem, which name the gateway, and of ca.pem and crl.pem")
	return write
}
