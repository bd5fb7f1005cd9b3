// Command vulncheck runs govulncheck over the module and judges what it finds: a known vulnerability that the code calls fails, unless the
// file of accepted ones names it with a reason and a day until which that holds. A database that cannot be reached is no failure, and no
// success either: it is said loudly that nothing was checked.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

const (
	// publicDatabase is that of the Go project; $GOVULNDB names another one.
	publicDatabase = "https://vuln.go.dev"
	probeTimeout   = 30 * time.Second
)

func main() {
	database := os.Getenv("GOVULNDB")
	if database == "" {
		database = publicDatabase
	}
	c := check{database: database, today: time.Now(), out: os.Stdout}
	flag.StringVar(&c.program, "govulncheck", "govulncheck", "the program that searches")
	flag.StringVar(&c.accepted, "accepted", ".vulnaccepted", "the file of accepted vulnerabilities")
	flag.Parse()
	if c.packages = flag.Args(); len(c.packages) == 0 {
		c.packages = []string{"./..."}
	}
	if err := c.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "vulncheck:", err)
		os.Exit(1)
	}
}

// check is one run.
type check struct {
	program, database, accepted string
	packages                    []string
	today                       time.Time
	out                         io.Writer
}

func (c check) run(ctx context.Context) error {
	raw, err := os.ReadFile(c.accepted)
	if err != nil {
		return err
	}
	list, err := parseAccepted(string(raw))
	if err != nil {
		return fmt.Errorf("%s: %w", c.accepted, err)
	}
	if err := reachable(ctx, c.database); err != nil {
		fmt.Fprintf(c.out, "\n*** SKIPPED: nothing was searched for known vulnerabilities, since the database does not answer: %v ***\n"+
			"*** Run this where %s can be reached, or name a copy of it in $GOVULNDB. ***\n\n", err, c.database)
		return nil
	}
	//nolint:gosec // the program is that of the command line, as for any program that runs another
	cmd := exec.CommandContext(ctx, c.program, append([]string{"-db", c.database, "-format", "json"}, c.packages...)...)
	var found, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &found, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", c.program, err, said.String())
	}
	r, err := readReport(&found)
	if err != nil {
		return err
	}
	return judge(r, list, c.today, c.out)
}

// reachable asks an HTTP database for its index. A database in files is there or is an error of govulncheck's.
func reachable(ctx context.Context, database string) error {
	if !strings.HasPrefix(database, "http") {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(database, "/")+"/index/db.json", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	var index struct {
		Modified time.Time `json:"modified"`
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&index)
	if closed := resp.Body.Close(); closed != nil && err == nil {
		err = closed
	}
	switch {
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s answers %s", req.URL, resp.Status)
	case err != nil:
		return fmt.Errorf("%s is no index of a database: %w", req.URL, err)
	case index.Modified.IsZero():
		return errors.New(req.URL.String() + " is no index of a database: it does not say when it was modified")
	}
	return nil
}
