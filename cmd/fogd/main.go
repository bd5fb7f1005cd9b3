// Command fogd is the daemon of the chain and its client: it runs a node, keeps keys, and sends transactions and queries.
package main

import (
	"os"

	"github.com/foggrid/fogd/cmd/fogd/cmd"
)

func main() {
	os.Exit(cmd.Run())
}
