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

// attack is what only a container can try; targets are addresses at which somebody listens whom it must not reach.
func attack(how string, targets []string) error {
	switch how {
	case "fork":
		return forkBomb()
	case "child": // sleeps until it is killed with its container
		time.Sleep(time.Hour)
	case "tmp", "shm", "data":
		return fillFolder(map[string]string{"tmp": "/tmp", "shm": "/dev/shm", "data": "/data"}[how])
	case "reach":
		return reach(targets)
	case "runner":
		return attackRunner()
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
func reach(targets []string) error {
	tries := map[string]func() error{
		"dial the Internet":    func() error { return dial("tcp", "1.1.1.1:53") },
		"send a datagram":      func() error { return dial("udp", "8.8.8.8:53") },
		"the cloud's metadata": func() error { return dial("tcp", "169.254.169.254:80") },
		"Nomad on the host":    func() error { return dial("tcp", "127.0.0.1:4646") },
		"Vault on the host":    func() error { return dial("tcp", "127.0.0.1:8200") },
		"Docker over TCP":      func() error { return dial("tcp", "127.0.0.1:2375") },
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
	for _, address := range targets {
		tries["dial "+address] = func() error { return dial("tcp", address) }
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

// attackRunner tries to get at what a runner in the same container tells; its exit code is how often it did.
func attackRunner() error {
	tries := map[string]func() error{
		"end the first process":    func() error { return syscall.Kill(1, syscall.SIGKILL) },
		"write to its memory":      func() error { return os.WriteFile("/proc/1/mem", []byte{0}, 0) },
		"trace it":                 func() error { return syscall.PtraceAttach(1) },
		"read its variables":       func() error { return readByte("/proc/1/environ") },
		"list the allocation":      func() error { _, err := os.ReadDir("/alloc"); return err },
		"write an outcome":         func() error { return os.WriteFile("/alloc/fog/outcome.json", []byte("{}"), 0o600) },
		"move what it writes":      func() error { return os.Rename("/alloc/fog", "/alloc/x") },
		"write into the task's":    func() error { return os.WriteFile("/local/x", nil, 0o600) },
		"write into the secrets":   func() error { return os.WriteFile("/secrets/x", nil, 0o600) },
		"exchange its program":     func() error { return os.Remove("/alloc/fog-runner") },
		"make the folder its own":  func() error { return os.Chmod("/alloc", 0o777) },
		"make itself less killed":  func() error { return os.WriteFile("/proc/self/oom_score_adj", []byte("-500"), 0) },
		"become the first's group": func() error { return syscall.Setgid(0) },
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
