package dispatchtest

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/image"
)

func (s *serviceSuite) testStop(t *testing.T) {
	dir := t.TempDir()
	d, closeIt := s.start(t, dir)
	a := ServiceAssignment(t, s.guest)
	require.NoError(t, d.Start(context.Background(), a))
	w := WatchService(t, d, a.ID)
	w.Until(dispatch.ServiceHealthy)
	require.ErrorIs(t, d.Remove(context.Background(), a.ID), dispatch.ErrRunning)
	require.NoError(t, d.Stop(context.Background(), a.ID))
	require.NoError(t, d.Stop(context.Background(), a.ID))
	last := w.Until(dispatch.ServiceStopped)
	closeIt()

	d, closeIt = s.start(t, dir)
	defer closeIt()
	out := RunToEnd(t, d, a)
	require.Equal(t, []dispatch.Reason{dispatch.ReasonStopped}, reasons(out))
	again, err := d.States(context.Background(), a.ID, func(dispatch.ServiceState) {})
	require.NoError(t, err)
	require.Equal(t, last, again)
	require.Contains(t, ReadLog(t, d, a.ID, 0), "service began\n")
	require.NoError(t, d.Remove(context.Background(), a.ID))
	_, err = d.States(context.Background(), a.ID, func(dispatch.ServiceState) {})
	require.ErrorIs(t, err, dispatch.ErrUnknownAttempt)
}

// testDispatcherRestarts closes the dispatcher, which keeps the volume of the service, and ends it unless it GoesOn.
func (s *serviceSuite) testDispatcherRestarts(t *testing.T) {
	dir := t.TempDir()
	d, closeIt := s.start(t, dir)
	a := ServiceAssignment(t, s.guest)
	require.NoError(t, d.Start(context.Background(), a))
	w := WatchService(t, d, a.ID)
	w.Until(dispatch.ServiceHealthy)
	mustAsk(t, a, "/put", "path", "/data/kept", "text", "kept")
	closeIt()
	require.ErrorIs(t, <-w.done, dispatch.ErrClosed)
	runs := 2
	if _, err := Ask(a, "/health"); s.opts.GoesOn {
		require.NoError(t, err)
		runs = 1
	} else {
		require.Error(t, err)
	}

	d, closeIt = s.start(t, dir)
	defer closeIt()
	require.NoError(t, d.Start(context.Background(), a))
	w = WatchService(t, d, a.ID)
	w.Until(dispatch.ServiceHealthy)
	require.Equal(t, "kept", mustAsk(t, a, "/get", "path", "/data/kept"))
	require.Equal(t, runs, strings.Count(ReadLog(t, d, a.ID, 0), "service began\n"))
	require.NoError(t, d.Stop(context.Background(), a.ID))
}

func (s *serviceSuite) testBadImage(t *testing.T) {
	d, closeIt := s.start(t, t.TempDir())
	defer closeIt()
	a := ServiceAssignment(t, s.guest)
	if a.Module[0] ^= 1; s.opts.GoesOn {
		a = ServiceAssignment(t, ChangeImage(t, s.guest, func(c *image.Config) { c.Config.Entrypoint = []string{"/missing"} }))
	}
	require.NoError(t, d.Start(context.Background(), a))
	require.Equal(t, dispatch.ReasonBadImage, WatchService(t, d, a.ID).Until(dispatch.ServiceStopped).Reason)
	require.Equal(t, []dispatch.Reason{dispatch.ReasonBadImage}, reasons(RunToEnd(t, d, a)))

	batch := Assignment(s.guest, 1, "exit", "0")
	batch.ID.Slice = 9
	RunToEnd(t, d, batch)
	_, err := d.States(context.Background(), batch.ID, func(dispatch.ServiceState) {})
	require.ErrorContains(t, err, "no service")
}

var errEnough = errors.New("enough")

func (s *serviceSuite) testFollow(t *testing.T) {
	d, closeIt := s.start(t, t.TempDir())
	defer closeIt()
	a := ServiceAssignment(t, s.guest)
	require.NoError(t, d.Start(context.Background(), a))
	WatchService(t, d, a.ID).Until(dispatch.ServiceHealthy)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var text string
	var next uint64
	err := d.Follow(ctx, a.ID, 0, 0, func(offset uint64, piece []byte) error {
		require.Equal(t, next, offset)
		next += uint64(len(piece))
		text += string(piece)
		if strings.Contains(text, "first\n") {
			return errEnough
		}
		_, err := Ask(a, "/say", "text", "first")
		return err
	})
	require.ErrorIs(t, err, errEnough)
	// On from there, to the end.
	mustAsk(t, a, "/say", "text", "second")
	followed := make(chan error, 1)
	rest := ""
	go func() {
		followed <- d.Follow(ctx, a.ID, 0, next, func(_ uint64, piece []byte) error { rest += string(piece); return nil })
	}()
	require.NoError(t, d.Stop(ctx, a.ID))
	require.NoError(t, <-followed)
	require.True(t, strings.HasPrefix(rest, "second\n"), rest)
	require.Equal(t, text+rest, ReadLog(t, d, a.ID, 0))

	ctx, cancel = context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, d.Follow(ctx, a.ID, 0, 0, func(uint64, []byte) error { return nil }), context.Canceled)
	require.Error(t, d.Follow(context.Background(), a.ID, 1, 0, nil))
	_, err = d.Stats(context.Background(), dispatch.AttemptID{Job: "job1none"}, 0)
	require.ErrorIs(t, err, dispatch.ErrUnknownAttempt)
}

// testPortTaken: a port that somebody else listens on is the node's matter, and passes.
func (s *serviceSuite) testPortTaken(t *testing.T) {
	d, closeIt := s.start(t, t.TempDir())
	defer closeIt()
	a := ServiceAssignment(t, s.guest)
	lis, err := net.Listen("tcp", Endpoint(a.Service.Ports[0]))
	require.NoError(t, err)
	require.NoError(t, d.Start(context.Background(), a))
	w := WatchService(t, d, a.ID)
	require.Equal(t, dispatch.ReasonNode, w.Until(dispatch.ServiceRestarting).Reason)
	require.NoError(t, lis.Close())
	w.Until(dispatch.ServiceHealthy)
	require.NoError(t, d.Stop(context.Background(), a.ID))
}

// testConfined is what a stand-in cannot show.
func (s *serviceSuite) testConfined(t *testing.T) {
	d, closeIt := s.start(t, t.TempDir())
	defer closeIt()
	outside, err := net.Listen("tcp", "0.0.0.0:0") // reachable over the machine's addresses
	require.NoError(t, err)
	defer func() { require.NoError(t, outside.Close()) }()
	a := ServiceAssignment(t, s.guest)
	require.NoError(t, d.Start(context.Background(), a))
	w := WatchService(t, d, a.ID)
	w.Until(dispatch.ServiceHealthy)
	require.EqualValues(t, 65532, mustAsk(t, a, "/report").(map[string]any)["uid"])
	for _, path := range []string{"/root-is-read-only", "/out/file"} {
		_, err := Ask(a, "/put", "path", path, "text", "x")
		require.Error(t, err, path)
	}
	written := mustAsk(t, a, "/fill", "path", "/data/large")
	require.LessOrEqual(t, written, float64(4<<20), "the volume's limit")
	require.Greater(t, written, float64(2<<20), "a file system on disk needs some of it")
	for _, closed := range []string{"1.1.1.1:53", net.JoinHostPort("127.0.0.1", strconv.Itoa(outside.Addr().(*net.TCPAddr).Port))} {
		_, err := Ask(a, "/dial", "address", closed)
		require.Error(t, err, closed)
	}
	b := ServiceAssignment(t, s.guest)
	b.ID.Job = "job1other"
	b.Service.Ports = b.Service.Ports[:1]
	require.NoError(t, d.Start(context.Background(), b))
	WatchService(t, d, b.ID).Until(dispatch.ServiceHealthy)
	require.NoError(t, d.Stop(context.Background(), a.ID))
	require.NoError(t, d.Stop(context.Background(), b.ID))
}
