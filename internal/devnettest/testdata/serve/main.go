// Serve says hello with the word that it is given. Its port may be shared, because the tests' stand-in for the Docker Engine gives
// programs no network of their own.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	shared := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		if err == nil {
			err = failed
		}
		return err
	}}
	listener, err := shared.Listen(context.Background(), "tcp", ":"+os.Getenv("FOG_PORT_WEB"))
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "hello", os.Args[1])
	})}
	log.Fatal(server.Serve(listener))
}
