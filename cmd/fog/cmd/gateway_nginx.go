package cmd

import (
	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/deploy/nginx"
)

func newGatewayNginxCmd(a *app) *cobra.Command {
	g := nginx.Gateway{}
	write := &cobra.Command{
		Use: "nginx", Short: "Print the configuration of nginx in front of the gateway", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if g.Host == "" {
				return usagef("give --host, the public name of the gateway")
			}
			if g.Certificate == "" {
				g.Certificate = "/etc/letsencrypt/live/" + g.Host + "/fullchain.pem"
			}
			if g.Key == "" {
				g.Key = "/etc/letsencrypt/live/" + g.Host + "/privkey.pem"
			}
			if err := g.Write(a.stdout); err != nil {
				return usagef("%w", err)
			}
			return nil
		},
	}
	write.Flags().StringVar(&g.Host, "host", "", "public name of the gateway")
	write.Flags().StringVar(&g.Upstream, "upstream", "127.0.0.1:8080", "host:port on which the gateway listens")
	write.Flags().StringVar(&g.Certificate, "certificate", "", "PEM file of the certificate (default: where certbot puts it)")
	write.Flags().StringVar(&g.Key, "certificate-key", "", "PEM file of its key (default: where certbot puts it)")
	write.Flags().StringVar(&g.Trust, "trust", "", "folder that fog cert trust --keep writes to: demand certificates of that authority (default: let everybody in, and tokens decide)")
	write.Flags().Uint16Var(&g.HTTPPort, "http-port", 80, "port that redirects to TLS")
	write.Flags().Uint16Var(&g.HTTPSPort, "https-port", 443, "port with TLS")
	return write
}
