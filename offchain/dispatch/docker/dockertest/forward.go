package dockertest

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/moby/moby/api/types/network"
)

// forwards are the published ports of a running container.
type forwards struct {
	closers []io.Closer
	running sync.WaitGroup
}

// forward listens on the ports of the machine and passes on what comes.
func forward(bindings network.PortMap) (*forwards, error) {
	f := &forwards{}
	for port, hosts := range bindings {
		for _, h := range hosts {
			from, to := "127.0.0.1:"+h.HostPort, "127.0.0.1:"+port.Port()
			var err error
			if port.Proto() == network.UDP {
				err = f.packets(from, to)
			} else {
				err = f.streams(from, to)
			}
			if err != nil {
				f.close()
				return nil, err
			}
		}
	}
	return f, nil
}

func (f *forwards) close() {
	for _, c := range f.closers {
		closeIt(c)
	}
	f.running.Wait()
}

func (f *forwards) streams(from, to string) error {
	lis, err := net.Listen("tcp", from)
	if err != nil {
		return err
	}
	f.closers = append(f.closers, lis)
	f.running.Go(func() {
		for {
			in, err := lis.Accept()
			if err != nil {
				return
			}
			go join(in, to)
		}
	})
	return nil
}

// join copies both ways until one side ends.
func join(in net.Conn, to string) {
	defer closeIt(in)
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer closeIt(out)
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{out, in}, {in, out}} {
		go func() {
			io.Copy(way[0], way[1]) //nolint:errcheck // either side may hang up at any time
			ended <- struct{}{}
		}()
	}
	<-ended
}

// closeIt closes what nothing more is expected of, and what may be closed already.
func closeIt(c io.Closer) {
	c.Close()
}

// packets passes datagrams on, with a socket for each sender, and what comes back.
func (f *forwards) packets(from, to string) error {
	lis, err := net.ListenPacket("udp", from)
	if err != nil {
		return err
	}
	f.closers = append(f.closers, lis)
	f.running.Go(func() {
		senders := map[string]net.Conn{}
		defer func() {
			for _, c := range senders {
				closeIt(c)
			}
		}()
		buf := make([]byte, 64<<10)
		for {
			n, sender, err := lis.ReadFrom(buf)
			if err != nil {
				return
			}
			out := senders[sender.String()]
			if out == nil {
				if out, err = net.Dial("udp", to); err != nil {
					return
				}
				senders[sender.String()] = out
				go answers(lis, out, sender)
			}
			// A program that is not there yet loses datagrams, as on any network.
			if _, err := out.Write(buf[:n]); errors.Is(err, net.ErrClosed) {
				return
			}
		}
	})
	return nil
}

func answers(lis net.PacketConn, out net.Conn, sender net.Addr) {
	buf := make([]byte, 64<<10)
	for {
		n, err := out.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // nobody listens there yet
			time.Sleep(time.Millisecond)
			continue
		}
		if _, err := lis.WriteTo(buf[:n], sender); err != nil {
			return
		}
	}
}
