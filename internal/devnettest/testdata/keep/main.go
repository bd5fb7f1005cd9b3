// Keep says hello with the word that it is given, and beside that does what a command of its service's owner asks: put FILE TEXT, get FILE, exit CODE.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"
)

func main() {
	var err error
	switch args := os.Args[1:]; args[0] {
	case "serve":
		server := &http.Server{Addr: ":" + os.Getenv("FOG_PORT_WEB"), ReadHeaderTimeout: time.Second}
		server.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello", args[1]) })
		err = server.ListenAndServe()
	case "put":
		err = os.WriteFile(args[1], []byte(args[2]), 0o600)
	case "get":
		var text []byte
		if text, err = os.ReadFile(args[1]); err == nil {
			fmt.Printf("%s", text)
		}
	case "exit":
		fmt.Fprintln(os.Stderr, "ends as it was told")
		code, failed := strconv.Atoi(args[1])
		if failed != nil {
			log.Fatal(failed)
		}
		os.Exit(code)
	}
	if err != nil {
		log.Fatal(err)
	}
}
