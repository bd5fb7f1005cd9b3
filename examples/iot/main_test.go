package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/examples/iot/reading"
)

// publish is a sensor in a few bytes of MQTT 3.1.1: CONNECT, PUBLISH, DISCONNECT. It returns the broker's answer to the first.
func publish(t *testing.T, addr, password, topic, payload string) byte {
	t.Helper()
	text := func(s string) string { return string([]byte{byte(len(s) >> 8), byte(len(s))}) + s }
	packet := func(kind byte, body string) string { return string([]byte{kind, byte(len(body))}) + body }
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	hello := packet(0x10, text("MQTT")+"\x04\xc2\x00\x3c"+text("sensor")+text("sensor")+text(password))
	_, err = c.Write([]byte(hello))
	require.NoError(t, err)
	answer := make([]byte, 4)
	if _, err := c.Read(answer); err != nil || answer[0] != 0x20 {
		return 255
	}
	if answer[3] == 0 {
		_, err = c.Write([]byte(packet(0x30, text(topic)+payload) + packet(0xe0, "")))
		require.NoError(t, err)
	}
	return answer[3]
}

func TestBroker(t *testing.T) {
	j, err := openJournal(t.TempDir(), 1<<20)
	require.NoError(t, err)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := lis.Addr().String()
	require.NoError(t, lis.Close())
	broker, err := newBroker(addr, "secret", j)
	require.NoError(t, err)
	require.NoError(t, broker.Serve())
	require.NotZero(t, publish(t, addr, "wrong", "sensors/a/b", "1"))
	require.Zero(t, publish(t, addr, "secret", "other/a/b", "1"))
	require.Zero(t, publish(t, addr, "secret", "sensors/a/b", "no number"))
	require.Zero(t, publish(t, addr, "secret", "sensors/kitchen/temperature", "21.5"))
	require.Eventually(t, func() bool { return j.count() == 1 }, 20*time.Second, 5*time.Millisecond)
	var b bytes.Buffer
	require.NoError(t, j.copyTo(&b))
	require.Contains(t, b.String(), `"sensor":"kitchen","metric":"temperature","milli":21500}`)
	require.NoError(t, broker.Close())
	require.NoError(t, j.close())
}

func TestJournal(t *testing.T) {
	dir := t.TempDir()
	j, err := openJournal(dir, 300)
	require.NoError(t, err)
	for i := range 20 {
		require.NoError(t, j.add(reading.Reading{Time: int64(i), Sensor: "s", Metric: "m", Milli: int64(i)}))
	}
	kept := func() []string {
		var b bytes.Buffer
		require.NoError(t, j.copyTo(&b))
		return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	}
	before := kept()
	require.Contains(t, before[len(before)-1], `"time":19,`)
	require.LessOrEqual(t, len(strings.Join(before, "\n")), 600)
	require.NoError(t, j.close())

	// A run that ended within a line.
	f, err := os.OpenFile(filepath.Join(dir, "readings.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = fmt.Fprint(f, `{"time":20,"sen`)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	j, err = openJournal(dir, 300)
	require.NoError(t, err)
	require.Equal(t, before, kept())
	require.NoError(t, j.add(reading.Reading{Time: 21}))
	after := kept()
	require.Contains(t, after[len(after)-1], `"time":21,`)
	require.NoError(t, j.close())
}
