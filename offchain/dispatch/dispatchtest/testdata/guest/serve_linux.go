package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// serve is a service that does what it is asked for over HTTP, and sends datagrams back.
func serve() error {
	fmt.Println("service began")
	web, err := net.Listen("tcp", ":"+os.Getenv("FOG_PORT_WEB"))
	if err != nil {
		return err
	}
	if port := os.Getenv("FOG_PORT_GAME_ECHO"); port != "" {
		packets, err := net.ListenPacket("udp", ":"+port)
		if err != nil {
			return err
		}
		go echo(packets)
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	go func() {
		<-end
		fmt.Println("service was asked to end")
		os.Exit(0)
	}()
	return http.Serve(web, handler())
}

func echo(c net.PacketConn) {
	buf := make([]byte, 2048)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		if _, err := c.WriteTo(buf[:n], from); err != nil {
			return
		}
	}
}

func handler() http.Handler {
	var sick atomic.Bool
	mux := http.NewServeMux()
	answer := func(pattern string, do func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			body, err := do(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusTeapot)
				return
			}
			json.NewEncoder(w).Encode(body)
		})
	}
	// Paths are below the stand-in's folder where there is no container.
	file := func(r *http.Request) string { return filepath.Join(os.Getenv("GUEST_ROOT"), r.FormValue("path")) }
	answer("/health", func(*http.Request) (any, error) {
		if sick.Load() {
			return nil, errors.New("sick")
		}
		return "well", nil
	})
	answer("/sick", func(r *http.Request) (any, error) { sick.Store(r.FormValue("yes") == "1"); return nil, nil })
	answer("/report", func(*http.Request) (any, error) {
		env := map[string]string{}
		for _, v := range os.Environ() {
			name, value, _ := strings.Cut(v, "=")
			env[name] = value
		}
		return map[string]any{"args": os.Args[1:], "env": env, "uid": os.Getuid()}, nil
	})
	answer("/exit", func(r *http.Request) (any, error) {
		code, err := strconv.Atoi(r.FormValue("code"))
		if err == nil {
			time.AfterFunc(50*time.Millisecond, func() { os.Exit(code) })
		}
		return nil, err
	})
	answer("/say", func(r *http.Request) (any, error) { fmt.Println(r.FormValue("text")); return nil, nil })
	answer("/put", func(r *http.Request) (any, error) {
		return nil, os.WriteFile(file(r), []byte(r.FormValue("text")), 0o600)
	})
	answer("/fill", func(r *http.Request) (any, error) {
		f, err := os.Create(file(r))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		block, written := make([]byte, 64<<10), 0
		for written < 4<<30 {
			n, err := f.Write(block)
			written += n
			if err != nil {
				return written, nil
			}
		}
		return written, nil
	})
	answer("/get", func(r *http.Request) (any, error) { raw, err := os.ReadFile(file(r)); return string(raw), err })
	answer("/fork", func(*http.Request) (any, error) {
		for started := 0; ; started++ {
			if err := exec.Command("/proc/self/exe", "attack", "child").Start(); err != nil || started == 10_000 {
				return started, nil
			}
		}
	})
	answer("/dial", func(r *http.Request) (any, error) {
		c, err := net.DialTimeout("tcp", r.FormValue("address"), 2*time.Second)
		if err != nil {
			return nil, err
		}
		return "reached", c.Close()
	})
	return mux
}
