package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// attack is what only a container can try.
func attack(how string) error {
	switch how {
	case "fork":
		return forkBomb()
	case "child": // sleeps until it is killed with its container
		time.Sleep(time.Hour)
	case "tmp", "shm", "data":
		return fillFolder(map[string]string{"tmp": "/tmp", "shm": "/dev/shm", "data": "/data"}[how])
	case "reach":
		return reach()
	default:
		return fmt.Errorf("unknown attack %q", how)
	}
	return nil
}

// forkBomb starts processes until it cannot, and tells how many there were.
func forkBomb() error {
	started := 0
	for ; started < 10_000; started++ {
		child := exec.Command("/proc/self/exe", "attack", "child")
		if err := child.Start(); err != nil {
			fmt.Println("stopped:", err)
			break
		}
	}
	return os.WriteFile("/out/started", fmt.Append(nil, started), 0o600)
}

func fillFolder(dir string) error {
	block := make([]byte, 1<<20)
	f, err := os.Create(filepath.Join(dir, "f"))
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		if _, err := f.Write(block); err != nil {
			return err
		}
	}
}

// reach tries to get at the host; its exit code is how often it did.
func reach() error {
	tries := map[string]func() error{
		"dial the host":        func() error { return dial("tcp", "172.17.0.1:22") },
		"dial the Internet":    func() error { return dial("tcp", "1.1.1.1:53") },
		"send a datagram":      func() error { return dial("udp", "8.8.8.8:53") },
		"have an interface":    interfaces,
		"docker socket":        func() error { return dial("unix", "/var/run/docker.sock") },
		"docker socket in run": func() error { return dial("unix", "/run/docker.sock") },
		"containerd socket":    func() error { return dial("unix", "/run/containerd/containerd.sock") },
		"write to /":           func() error { return os.WriteFile("/file", nil, 0o600) },
		"write to /etc":        func() error { return os.WriteFile("/etc/passwd", nil, 0o600) },
		"write to /in":         func() error { return os.WriteFile("/in/new", nil, 0o600) },
		"change /in":           func() error { return os.WriteFile("/in/input.txt", nil, 0o600) },
		"change the program":   func() error { return os.Remove("/task") },
		"read shadow":          func() error { _, err := os.ReadFile("/etc/shadow"); return err },
		"see the host's files": func() error { _, err := os.Stat("/usr"); return err },
		"read kernel memory":   func() error { return readByte("/proc/kcore") },
		"set kernel knobs":     func() error { return os.WriteFile("/proc/sys/kernel/core_pattern", []byte("|/x"), 0) },
		"press a magic key":    func() error { return os.WriteFile("/proc/sysrq-trigger", []byte("x"), 0) },
		"write to /sys":        func() error { return os.WriteFile("/sys/fs/cgroup/x", nil, 0o600) },
		"open a disk":          openDisk,
		"make a device":        func() error { return syscall.Mknod("/out/dev", syscall.S_IFBLK|0o600, 8<<8) },
		"mount":                func() error { return syscall.Mount("none", "/tmp", "tmpfs", 0, "") },
		"mount again writable": func() error { return syscall.Mount("", "/", "", syscall.MS_REMOUNT, "") },
		"become root":          func() error { return syscall.Setuid(0) },
		"change root":          func() error { return syscall.Chroot("/tmp") },
		"a new user namespace": func() error { return syscall.Unshare(syscall.CLONE_NEWUSER) },
		"set the clock":        func() error { return syscall.Settimeofday(&syscall.Timeval{Sec: 1}) },
		"set the host's name":  func() error { return syscall.Sethostname([]byte("x")) },
		"raw socket": func() error {
			_, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_ICMP)
			return err
		},
		"privileges":          privileges,
		"see other processes": processes,
	}
	reached := 0
	for name, try := range tries {
		if err := try(); err == nil {
			fmt.Println("reached:", name)
			reached++
		}
	}
	os.Exit(reached)
	return nil
}

func dial(network, address string) error {
	c, err := net.DialTimeout(network, address, 2*time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}

func interfaces() error {
	all, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback == 0 && i.Flags&net.FlagUp != 0 {
			return nil
		}
	}
	return errors.New("only the loopback")
}

func readByte(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Read(make([]byte, 1))
	return err
}

func openDisk() error {
	for _, pattern := range []string{"/dev/sd*", "/dev/vd*", "/dev/nvme*", "/dev/loop*", "/dev/mem", "/dev/kmsg"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		for _, name := range found {
			if readByte(name) == nil {
				return nil
			}
		}
	}
	return errors.New("no disk")
}

// privileges is nil if the process has any that it should not have.
func privileges() error {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil
	}
	for _, want := range []string{
		"Uid:\t65532\t65532\t65532\t65532", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "CapBnd:\t0000000000000000",
		"NoNewPrivs:\t1", "Seccomp:\t2",
	} {
		if !strings.Contains(string(raw), want+"\n") {
			fmt.Println("lacks:", want)
			return nil
		}
	}
	return errors.New("none")
}

// processes is nil if there are processes of others.
func processes() error {
	found, err := filepath.Glob("/proc/[0-9]*")
	if err == nil && os.Getpid() == 1 && len(found) == 1 {
		return errors.New("alone")
	}
	return nil
}
