// Command guest misbehaves on demand. It is what tests of dispatchers run.
package main

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}

func run(command string, args []string) error {
	switch command {
	case "report":
		return report(args)
	case "chance":
		return chance()
	case "exit":
		code, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		if err := os.WriteFile("/out/partial", []byte("partial"), 0o600); err != nil {
			return err
		}
		os.Exit(code)
	case "panic":
		panic("on demand")
	case "spin":
		for {
			runtime.Gosched()
		}
	case "nap":
		for {
			time.Sleep(time.Hour)
		}
	case "hog":
		var kept [][]byte
		for {
			block := make([]byte, 1<<20)
			for i := range block {
				block[i] = byte(i)
			}
			kept = append(kept, block)
		}
	case "flood":
		line := []byte(strings.Repeat("flood ", 1000) + "\n")
		for range 2000 {
			if _, err := os.Stdout.Write(line); err != nil {
				return err
			}
		}
	case "wait": // tasks from args[0] on wait for the inputs to change
		return wait(args)
	case "fill", "names", "folders", "truncate", "seek", "unlinked", "shrink":
		return fill(command)
	case "escape":
		return escape()
	case "serve":
		return serve()
	case "echo": // for commands beside a service
		if _, err := io.Copy(os.Stdout, os.Stdin); err != nil {
			return err
		}
		fmt.Println(strings.Join(args[1:], " "))
		code, err := strconv.Atoi(args[0])
		if err == nil {
			os.Exit(code)
		}
		return err
	case "secret": // only its digest goes into log and result
		value := []byte(os.Getenv(args[0]))
		if raw, err := os.ReadFile("/run/secrets/" + args[0]); err == nil {
			value = raw
		}
		text := fmt.Appendf(nil, "%x\n", sha256.Sum256(value))
		fmt.Printf("%s", text)
		return os.WriteFile("/out/digest", text, 0o644)
	case "cat":
		raw, err := os.ReadFile(args[0])
		if err == nil {
			_, err = os.Stdout.Write(raw)
		}
		return err
	case "attack":
		return attack(args[0], args[1:])
	default:
		return fmt.Errorf("unknown command %q", command)
	}
	return nil
}

// report tells what a task sees.
func report(args []string) error {
	env := os.Environ()
	sort.Strings(env)
	text := fmt.Sprintf("args %q\nenv %q\n", os.Args, env)
	err := filepath.WalkDir("/in", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		text += fmt.Sprintf("%s %q\n", path, content)
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) && len(args) == 0 {
		return err
	}
	stdin, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	text += fmt.Sprintf("stdin %q\n", stdin)
	fmt.Println("to standard output")
	fmt.Fprintln(os.Stderr, "to standard error")
	if err := os.MkdirAll("sub/deep", 0o700); err != nil { // relative to PWD
		return err
	}
	return os.WriteFile("/out/sub/report.txt", []byte(text), 0o600)
}

// chance writes all that a program could take for chance.
func chance() error {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return err
	}
	m := map[int]int{}
	for i := range 100 {
		m[i] = i
	}
	text := fmt.Sprintf("random %x\n", b)
	for k := range m {
		text += fmt.Sprintf("%d ", k)
	}
	start := time.Now()
	time.Sleep(time.Hour)
	text += fmt.Sprintf("\nstart %d slept %d\n", start.UnixNano(), time.Since(start))
	done := make(chan int)
	for i := range 10 {
		go func() { time.Sleep(time.Duration(i%3) * time.Second); done <- i }()
	}
	for range 10 {
		text += fmt.Sprintf("%d ", <-done)
	}
	for _, name := range []string{"b", "a", "c"} {
		if err := os.WriteFile("/out/"+name, nil, 0o600); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir("/out")
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		text += fmt.Sprintf("\n%s %s %v", e.Name(), info.Mode(), info.ModTime().UnixNano())
	}
	return os.WriteFile("/out/chance.txt", []byte(text), 0o600)
}

func wait(args []string) error {
	from, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	task, err := strconv.Atoi(os.Getenv("FOG_TASK_INDEX"))
	if err != nil {
		return err
	}
	fmt.Println("task", task, "began")
	for task >= from {
		if _, err := os.Stat("/in/release"); err == nil {
			break
		}
	}
	return os.WriteFile("/out/task.txt", []byte(strconv.Itoa(task)), 0o600)
}

// fill takes storage in every way; all but "shrink" are over any limit.
func fill(how string) error {
	block := make([]byte, 256<<10)
	switch how {
	case "truncate":
		f, err := os.Create("/out/f")
		if err != nil {
			return err
		}
		return f.Truncate(1 << 40)
	case "seek":
		f, err := os.Create("/out/f")
		if err != nil {
			return err
		}
		_, err = f.WriteAt([]byte("x"), 1<<62)
		return err
	case "shrink": // much is written, but never kept
		for i := range 50 {
			if err := os.WriteFile("/out/a", block, 0o600); err != nil {
				return err
			}
			if i%3 == 0 {
				if err := os.Rename("/out/a", "/out/b"); err != nil {
					return err
				}
			}
		}
		if err := os.Remove("/out/b"); err != nil {
			return err
		}
		return os.Truncate("/out/a", 5)
	}
	for i := 0; ; i++ {
		name := fmt.Sprintf("/out/%d", i)
		switch how {
		case "fill":
			f, err := os.OpenFile("/out/f", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err != nil {
				return err
			}
			_, err = f.Write(block)
			if err = errors.Join(err, f.Close()); err != nil {
				return err
			}
		case "names":
			if err := os.WriteFile(name, nil, 0o600); err != nil {
				return err
			}
		case "folders":
			if err := os.Mkdir(name, 0o700); err != nil {
				return err
			}
		case "unlinked": // space without a name is still space
			f, err := os.Create(name)
			if err != nil {
				return err
			}
			if err := os.Remove(name); err != nil {
				return err
			}
			if _, err := f.Write(block); err != nil {
				return err
			}
		}
	}
}

// escape tries to reach what it must not, and succeeds if nothing was reached.
func escape() error {
	if err := os.WriteFile("/out/file", []byte("x"), 0o600); err != nil {
		return err
	}
	tries := map[string]func() error{
		"read the host":         func() error { _, err := os.ReadFile("/etc/hostname"); return err },
		"read above /in":        func() error { _, err := os.ReadFile("/in/../../../../../../etc/hostname"); return err },
		"list above /out":       func() error { _, err := os.ReadDir("/out/../.."); return err },
		"follow a link":         func() error { _, err := os.ReadFile("/in/link"); return err },
		"follow a folder link":  func() error { _, err := os.ReadDir("/in/dirlink"); return err },
		"open a pipe":           func() error { _, err := os.ReadFile("/in/pipe"); return err },
		"write to /in":          func() error { return os.WriteFile("/in/new", nil, 0o600) },
		"change /in":            func() error { return os.WriteFile("/in/input.txt", nil, 0o600) },
		"append to /in":         func() error { return appendTo("/in/input.txt") },
		"truncate in /in":       func() error { return os.Truncate("/in/input.txt", 0) },
		"remove from /in":       func() error { return os.Remove("/in/input.txt") },
		"make a folder in /in":  func() error { return os.Mkdir("/in/d", 0o700) },
		"move within /in":       func() error { return os.Rename("/in/input.txt", "/in/y") },
		"move from /in to /out": func() error { return os.Rename("/in/input.txt", "/out/y") },
		"make a symbolic link":  func() error { return os.Symlink("../../../..", "/out/up") },
		"make a hard link":      func() error { return os.Link("/out/file", "/out/hard") },
		"remove /out":           func() error { return os.Remove("/out") },
		"open files forever":    openMany,
		"dial":                  func() error { _, err := net.Dial("tcp", "127.0.0.1:22"); return err },
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

func appendTo(name string) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte("x"))
	return err
}

func openMany() error {
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for range 1000 {
		f, err := os.Open("/out/file")
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	return nil
}
