// Command iot takes what sensors publish over MQTT, keeps it on a volume, and gives it out over HTTP.
//
// A sensor publishes a number, such as 21.5, to sensors/NAME/METRIC.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/foggrid/fogd/examples/iot/reading"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (err error) {
	// Half of the volume each, for the file that grows and the one before it.
	j, err := openJournal("/data", 8<<20)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.close()) }()
	broker, err := newBroker(":"+os.Getenv("FOG_PORT_MQTT"), os.Getenv("IOT_PASSWORD"), j)
	if err != nil {
		return err
	}
	if err := broker.Serve(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	web := &http.Server{Addr: ":" + os.Getenv("FOG_PORT_WEB"), Handler: handler(j), ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- web.ListenAndServe() }()
	log.Printf("sensors on port %s, readings on %s", os.Getenv("FOG_PORT_MQTT"), web.Addr) //nolint:gosec // its own settings
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return web.Close()
	}
}

// door lets in who knows the password, to publish below sensors/.
type door struct {
	mqtt.HookBase
	password string
}

// ID names the hook.
func (door) ID() string { return "door" }

// Provides says what the hook decides.
func (door) Provides(b byte) bool { return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck }

// OnConnectAuthenticate checks the password.
func (d door) OnConnectAuthenticate(_ *mqtt.Client, p packets.Packet) bool {
	return d.password != "" && string(p.Connect.Password) == d.password
}

// OnACLCheck lets sensors write and nobody read: readings are given out over HTTP.
func (door) OnACLCheck(_ *mqtt.Client, topic string, write bool) bool {
	return write && strings.HasPrefix(topic, "sensors/")
}

// newBroker makes a broker that notes what is published.
func newBroker(addr, password string, j *journal) (*mqtt.Server, error) {
	caps := mqtt.NewDefaultServerCapabilities()
	caps.MaximumPacketSize, caps.MaximumClients = 4<<10, 1000
	broker := mqtt.New(&mqtt.Options{InlineClient: true, Capabilities: caps})
	if err := broker.AddHook(&door{password: password}, nil); err != nil {
		return nil, err
	}
	if err := broker.AddListener(listeners.NewTCP(listeners.Config{ID: "sensors", Address: addr})); err != nil {
		return nil, err
	}
	err := broker.Subscribe("sensors/#", 1, func(_ *mqtt.Client, _ packets.Subscription, p packets.Packet) {
		r, err := reading.Parse(p.TopicName, string(p.Payload), time.Now())
		if err == nil {
			err = j.add(r)
		}
		if err != nil {
			log.Printf("%.100q: %v", p.TopicName, err)
		}
	})
	return broker, err
}

func handler(j *journal) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "readings:", j.count()) })
	mux.HandleFunc("GET /readings.jsonl", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jsonl")
		if err := j.copyTo(w); err != nil {
			log.Print("readings: ", err)
		}
	})
	return mux
}
