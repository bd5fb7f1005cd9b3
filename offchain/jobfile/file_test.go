package jobfile

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestProblems says what a developer reads for each of the bad files.
func TestProblems(t *testing.T) {
	for name, want := range map[string]string{
		"typo-top":                       `:6: nam is not a field; did you mean name?`,
		"typo-nested":                    `:7: resources.memroy is not a field; did you mean resources.memory?`,
		"misplaced":                      `:6: memory is not a field; did you mean resources.memory?`,
		"version":                        `:1: version is 2; this release reads version 1`,
		"version-missing":                `: version is 0; this release reads version 1`,
		"tasks-word":                     `:6: tasks is "many"; write a whole number from 0 to 4294967295`,
		"tasks-zero":                     `:6: tasks is 0; use 1 to 100000`,
		"tasks-many":                     `:6: tasks is 100001; use 1 to 100000`,
		"meaning-service-engine":         `: engine is "wasm", and services are containers; write engine: docker`,
		"meaning-service-fields":         `:7: replicas is for services; write type: service, or remove it`,
		"meaning-service-ports":          `:7: ports is for services; write type: service, or remove it`,
		"meaning-service-duration":       `:8: max_duration is not for services: say with funded_time for how long to pay`,
		"meaning-service-tasks":          `:8: tasks is not for services: say how many run with replicas`,
		"meaning-service-host-port":      `:10: ports[1].host_port is 7000 again; each port has one of its own`,
		"meaning-service-host-port-low":  `:8: ports[0].host_port is 443; use 1024 to 65535, or leave it out`,
		"meaning-service-port-twice":     `:8: ports[1] has the name or the number of a port before; change one`,
		"meaning-service-health-port":    `:9: health.port is "game"; name one of the TCP ports`,
		"meaning-service-health-path":    `:9: health.path is missing; say what to ask for, such as /health`,
		"meaning-service-health-timeout": `:9: health.timeout is 11s; use 1s to 10s`,
		"meaning-service-health-none":    `:8: health is none, which needs nothing else; remove the rest, or use http or tcp`,
		"meaning-service-volume-path":    `:8: volumes[0].path is no good: path "/proc/x" lies in /proc, which the container needs itself`,
		"meaning-service-keep-nothing":   `:8: keep_volumes is for services with volumes; name some, or remove it`,
		"meaning-service-volume-size":    `:8: volumes take 65MiB together, and the storage is 64MiB; raise resources.storage`,
		"meaning-service-volume-nested":  `:8: volumes[1] has the name of a volume before, or one lies in the other; change one`,
		"service-no-time":                `: funded_time is missing; say for how long the submission pays, such as 24h`,
		"service-replicas":               `:8: replicas is 65; use 1 to 64`,
		"service-protocol":               `:8: ports[0].protocol is "sctp"; use tcp or udp`,
		"service-port-name":              `:8: ports[0].name is no good: name "Web"; use a letter and then lower-case letters, digits and single dashes, at most 32`,
		"service-port-number":            `:8: ports[0].container_port is 65536; use 1 to 65535`,
		"service-health-kind":            `:8: health.kind is "exec"; use http, tcp or none`,
		"meaning-schedule-batch":         `:6: schedule is for periodic jobs; write type: periodic, or remove it`,
		"meaning-schedule-missing":       `: schedule.cron is missing; say when the job runs, such as "30 2 * * *"`,
		"meaning-schedule-cron":          `:8: schedule.cron is no schedule; "61 * * * *": "syntax error in minute field: '61'"`,
		"meaning-schedule-fields":        `:8: schedule.cron is no schedule; "* * * *"; give minute, hour, day of the month, month and day of the week, such as "30 2 * * 1-5", or one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually`,
		"meaning-schedule-zone":          `:9: schedule.time_zone is "Berlin", which is no time zone; use a name such as Europe/Berlin, or UTC`,
		"schedule-overlap":               `:9: schedule.overlap is "both"; use forbid, allow or replace`,
		"schedule-runs":                  `:9: schedule.runs is 10001; use 1 to 10000`,
		"schedule-text":                  `:7: schedule is a single value; write a group of fields`,
		"engine":                         `:6: engine is "podman"; use wasm or docker`,
		"meaning-image-engine":           `:3: image is a container image; add engine: docker, or use module`,
		"meaning-image-module":           `:3: module is WebAssembly; use image, or engine: wasm`,
		"image-and-build":                `:7: build and image exclude each other; remove one`,
		"image-none":                     `: image is missing; name a container image, or a Go package with build`,
		"meaning-image-memory":           `:8: resources.memory is 8MiB; use 16MiB to 16777216MiB`,
		"meaning-image-arch":             `:8: constraints.arch has 2 entries, and an image runs on one; name that`,
		"meaning-gpus":                   `:6: resources.gpus is 1, and only containers get GPUs; write engine: docker, or remove it`,
		"two-programs":                   `:6: build and module exclude each other; remove one`,
		"no-program":                     `: module is missing; name a .wasm file, or a Go package with build`,
		"no-price":                       `: price.cap_per_task_hour is missing or 0; say what an hour of a task may cost, such as 0.5FOG`,
		"price-no-unit":                  `:4: price.cap_per_task_hour has no unit; write 0.5FOG, or whole ufog`,
		"price-unit":                     `:4: price.cap_per_task_hour has the unit "EUR"; use FOG or ufog`,
		"no-duration":                    `: max_duration is missing; say how long a task may run, such as 10m`,
		"duration-no-unit":               `:5: max_duration has no unit: "90"; write it like 45s, 10m, 1h30m or 2d`,
		"memory-no-unit":                 `:6: resources.memory has no unit; write 256MiB or 256GiB`,
		"memory-unit":                    `:6: resources.memory has the unit "MB"; use MiB, GiB or TiB`,
		"group-as-value":                 `:6: resources is a single value; write a group of fields`,
		"list-as-value":                  `:6: inputs is a single value; write a list`,
		"no-value":                       `:6: inputs has no value; give it one or remove the line`,
		"meaning-secrets-path":           `:7: secrets[0].path "../other/token": must be up to 4 names of a-z, 0-9, '.', '_' and '-' with '/' between them, at most 128 bytes, each beginning with a letter or digit`,
		"meaning-secrets-env":            `:8: secrets[0].name is TOKEN, which env has too; remove one`,
		"meaning-secrets-twice":          `:8: secrets[1].name is TOKEN again; remove one`,
		"meaning-secrets-nomad":          `:6: secrets_on_nomad is true, and there are no secrets; name some, or remove it`,
		"meaning-secrets-reserved":       `:7: secrets[0].name is reserved; use a name that does not start with FOG_`,
		"env-reserved":                   `:6: env.FOG_TASK_INDEX is reserved; use a name that does not start with FOG_`,
		"name-number":                    `:2: name is "5", which YAML does not read as text; put it into quotes`,
		"meaning-min-success":            `:7: min_success is 3; use 1 to 2, the number of tasks`,
		"meaning-inputs-same-name":       `:6: inputs[1] and inputs[0] would both be /in/x; rename one`,
		"meaning-memory-over":            `:6: resources.memory is 5120MiB; use 1MiB to 4096MiB`,
		"meaning-memory-fraction":        `:6: resources.memory is finer than 1/1: "0.3"; round it`,
		"meaning-deadline-over":          `:6: deadline is 31d; use 1s to 30d`,
		"meaning-node-id":                `:6: constraints.nodes[0] is "node1x"; use the id of a node (node1…), as fog node status shows it`,
		"meaning-budget":                 `:4: price.cap_per_task_hour times the time paid for times tasks is more money than there is; lower one of them`,
		"meaning-where":                  `:8: constraints.where column 19: unknown name cpu_sngle; did you mean cpu_single?`,
		"meaning-where-lines":            `:7: constraints.where has a character at column 13 that is not printable ASCII; write it in one line without such characters (YAML's >- joins lines)`,
		"where-number":                   `:7: constraints.where is "5", which YAML does not read as text; put it into quotes`,
		"meaning-encrypt-service":        `:8: encrypt is for jobs whose tasks end with a result, and type is service; remove it`,
		"wishes-place":                   `:7: wishes.place is "Frankfurt"; write LATITUDE,LONGITUDE in degrees, such as 50.11,8.68`,
		"meaning-place-range":            `:7: wishes.place has the latitude 91; it must lie within ±90 degrees`,
		"meaning-latency":                `:7: wishes.latency_price needs a place to measure from; write wishes.place, such as 50.11,8.68`,
		"wishes-spread":                  `:7: wishes.spread is "rack"; use node, owner, datacenter or region`,
		"wishes-prefer-weight":           `:8: wishes.prefer[0].weight is missing or 0; say what a node that does not meet the condition must be better by, such as 0.001FOG`,
		"meaning-prefer-where":           `:9: wishes.prefer[1].where column 7: a single = does not compare; write ==`,
		"wishes-prefer-typo":             `:8: wishes.prefer[0].whre is not a field; did you mean wishes.prefer[0].where?`,
		"wishes-affinity":                `:8: wishes.anti_affinity[0].job is "node1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"; use the id of a job (job1…), as fog job list shows it`,
		"meaning-affinity-twice":         `:8: wishes.anti_affinity[0].job is "job1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq" again; remove one`,
		"wishes-gang":                    `:7: wishes.gang is "1"; write true or false`,
		"meaning-gang":                   `:8: wishes.gang starts all tasks together, which goes with at most 256, and tasks is 257; remove it or ask for fewer`,
		"wishes-work":                    `:7: wishes.work is 35184372088833; use at most 35184372088832`,
		"meaning-weight":                 `:7: wishes.pack is 1125899906842625ufog; use at most 1125899906842624ufog`,
		"meaning-twice":                  `:6: name was already given in line 2; remove one`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", "bad", name+".yaml")
			_, err := Load(path)
			var problems Problems
			require.ErrorAs(t, err, &problems)
			require.Contains(t, strings.Split(err.Error(), "\n"), path+want)
			require.Equal(t, strings.HasPrefix(name, "unsupported-"), errors.Is(err, ErrUnsupported))
		})
	}
}

func TestAllProblemsInOrderOfLines(t *testing.T) {
	_, err := Parse([]byte("version: 1\nname: x\nmodule: x\ntasks: 0\nmax_duration: 1s\ndeadline: 99d\nprice: {cap_per_task_hour: 0}\nmin_success: 4\n"))
	require.EqualError(t, err, strings.Join([]string{
		"line 4: tasks is 0; use 1 to 100000",
		"line 6: deadline is 99d; use 1s to 30d",
		"line 7: price.cap_per_task_hour is missing or 0; say what an hour of a task may cost, such as 0.5FOG",
		"line 8: min_success is 4; use 1 to 0, the number of tasks",
	}, "\n"))
}

func TestNotAJobFile(t *testing.T) {
	for name, data := range map[string]string{
		"empty":         "",
		"only comments": "# nothing\n",
		"a list":        "- version: 1\n",
		"a word":        "hello",
		"syntax":        "version: [1\n",
		"two documents": "version: 1\n---\nversion: 1\n",
		"merge":         "<<: {version: 1}\n",
		"complex key":   "? [a, b]\n: 1\n",
		"bomb":          "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n",
		"too large":     strings.Repeat("#", MaxFileBytes+1),
	} {
		_, err := Parse([]byte(data))
		var problems Problems
		require.ErrorAs(t, err, &problems, name)
	}
	_, err := Load("testdata/none.yaml")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestValues(t *testing.T) {
	f, err := Load("testdata/good/full.yaml")
	require.NoError(t, err)
	require.Equal(t, []string{"-n", "5", "true", "ünï \"x\" \\ \t", "0x10"}, f.Args)
	require.Equal(t, map[string]string{"SEED": "42", "GREETING": "a\nb", "EMPTY": ""}, f.Env)
	require.Equal(t, Resources{CPU: 250, Memory: 1536, Storage: 64}, f.Resources)
	require.Equal(t, Ufog(1), f.Price.CapPerTaskHour)
	require.Equal(t, Seconds(5400), f.MaxDuration)
	require.Equal(t, Seconds(2*86400), f.Deadline)
	require.Equal(t, uint32(255), f.Required())
	require.Equal(t, []Attribute{{"disk", "nvme"}, {"tier", "gold"}}, f.Constraints.AttributeList())

	require.Equal(t, `region != "eu-west" && (cpu_single >= 2000 || attr.tpm == true)`, f.Constraints.Where)
	require.Equal(t, Wishes{
		Work: 900_000, FailureCost: 20_000, Place: &Place{-33_868_800, 151_209_300}, LatencyPrice: 1_000_000,
		Prefer:       []Prefer{{`storage_type == "nvme"`, 1000}, {"reliability >= 950", 500}},
		Affinity:     []Affinity{{"job1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq", 3}},
		AntiAffinity: []Affinity{{"job1pqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq", 0}},
		Spread:       SpreadDatacenter, Pack: 7, MaxPerNode: 2, MaxPerOwner: 5, Gang: true,
	}, f.Wishes)
	require.True(t, f.Wishes.Given())

	f, err = Load("testdata/good/least.yaml")
	require.NoError(t, err)
	require.False(t, f.Wishes.Given())
	require.Equal(t, uint32(1), f.Required())
	require.Equal(t, Seconds(3600), f.Deadline)
	require.Equal(t, Resources{CPU: 1000, Memory: 256, Storage: 64}, f.Resources)
}

// TestTemplate: the template is valid as it is, and with all its commented fields, and names every field there is.
func TestTemplate(t *testing.T) {
	_, err := Parse(Template())
	require.NoError(t, err)
	text := string(Template())
	for _, at := range fieldPaths(reflect.TypeFor[File](), "") {
		leaf := at[strings.LastIndexByte(at, '.')+1:]
		if f, ok := fieldByName(reflect.TypeFor[File](), at); ok && f.Tag.Get("jsonschema") == "-" {
			require.NotContains(t, text, leaf+":")
			continue
		}
		require.Contains(t, text, leaf+":")
	}
	services := []string{"replicas", "funded_time", "ports", "health", "volumes", "keep_volumes", "outbound"}
	all := uncomment(text, func(field string) bool {
		return field != "build" && field != "image" && !slices.Contains(services, field)
	})
	var v map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(all), &v), all)
	require.Contains(t, v, "constraints")
	_, err = Parse([]byte(all))
	require.NoError(t, err, all)

	begin, end := strings.Index(text, "# replicas:"), strings.Index(text, "# The program:")
	service := uncomment(text[begin:end], func(string) bool { return true })
	service += "version: 1\nname: s\ntype: service\nengine: docker\nimage: x.tar\nprice: {cap_per_task_hour: 1}\n"
	f, err := Parse([]byte(service))
	require.NoError(t, err, service)
	require.EqualValues(t, 2, f.Replicas)
	require.Len(t, f.Volumes, 1)
}

// uncomment takes the comment marks off the wanted fields, with all that belongs to them.
func uncomment(text string, wanted func(field string) bool) string {
	var lines []string
	field := ""
	for _, line := range strings.Split(text, "\n") {
		if rest, ok := strings.CutPrefix(line, "# "); ok {
			word, _, found := strings.Cut(strings.TrimSpace(rest), ":")
			inside := strings.HasPrefix(rest, "  ")
			if !inside {
				field = word
			}
			if (inside || found && !strings.Contains(word, " ")) && wanted(field) {
				line = rest
			}
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestPackInputs(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "data", "sub"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "words.txt"), []byte("words"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "data", "sub", "x"), []byte("x"), 0o644))
	job := filepath.Join(dir, "fog.yaml")
	write := func(inputs string) *File {
		text := "version: 1\nname: x\nmodule: words.txt\nprice: {cap_per_task_hour: 1}\nmax_duration: 1s\ninputs: " + inputs + "\n"
		require.NoError(t, os.WriteFile(job, []byte(text), 0o644))
		f, err := Load(job)
		require.NoError(t, err)
		return f
	}
	out := filepath.Join(t.TempDir(), "in.tar")
	digest, size, err := write("[words.txt, ./data/]").PackInputs(out)
	require.NoError(t, err)
	again, _, err := write("[data, words.txt]").PackInputs(filepath.Join(t.TempDir(), "again.tar"))
	require.NoError(t, err)
	require.Equal(t, digest, again, "the order of the list does not matter")
	file, err := os.Open(out)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	info, err := file.Stat()
	require.NoError(t, err)
	require.Equal(t, info.Size(), size)
	var names []string
	for r := tar.NewReader(file); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		names = append(names, h.Name)
	}
	require.Equal(t, []string{"data/", "data/sub/", "data/sub/x", "words.txt"}, names)
	left, err := os.ReadDir(filepath.Dir(out))
	require.NoError(t, err)
	require.Len(t, left, 1, "no temporary folder stays")

	none, _, err := write("[]").PackInputs(out)
	require.NoError(t, err)
	require.True(t, none.IsZero())
	_, _, err = write("[words.txt, nothing]").PackInputs(out)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, job+":6: inputs[1] cannot be read")
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "data", "link")))
	_, _, err = write("[data]").PackInputs(out)
	require.Error(t, err, "a link inside a folder would leave it")
}

func TestModulePath(t *testing.T) {
	dir := t.TempDir()
	job := filepath.Join(dir, "fog.yaml")
	load := func(program string) *File {
		text := "version: 1\nname: hello\nprice: {cap_per_task_hour: 1}\nmax_duration: 1s\n" + program + "\n"
		require.NoError(t, os.WriteFile(job, []byte(text), 0o644))
		f, err := Load(job)
		require.NoError(t, err)
		return f
	}
	_, err := load("module: x.wasm").ModulePath(t.Context(), t.TempDir())
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, job+":5: module cannot be read")
	_, err = load("module: .").ModulePath(t.Context(), t.TempDir())
	require.ErrorContains(t, err, "is not a file")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module hello\n\ngo 1.26\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() { println(\"hello\") }\n"), 0o644))
	path, err := load("build: ./").ModulePath(t.Context(), t.TempDir())
	require.NoError(t, err)
	first, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "\x00asm", string(first[:4]))
	path, err = load("build: ./").ModulePath(t.Context(), t.TempDir())
	require.NoError(t, err)
	second, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, first, second)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() { nonsense }\n"), 0o644))
	_, err = load("build: ./").ModulePath(t.Context(), t.TempDir())
	require.ErrorContains(t, err, "undefined: nonsense")
}

func FuzzParseFile(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/bad/*.yaml", "template.yaml"} {
		paths, err := filepath.Glob(pattern)
		require.NoError(f, err)
		for _, p := range paths {
			data, err := os.ReadFile(p)
			require.NoError(f, err)
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			var problems Problems
			if !errors.As(err, &problems) || len(problems) == 0 || err.Error() == "" {
				t.Fatalf("not a list of problems: %v", err)
			}
			return
		}
		inputs := zeroOr(len(file.Inputs) > 0)
		spec, err := file.Spec(oneDigest, inputs)
		if err != nil {
			t.Fatalf("a valid file has no spec: %v", err)
		}
		back, err := ParseSpec(spec.Canonical())
		if err != nil || back.Digest() != spec.Digest() {
			t.Fatalf("the spec does not survive its own form: %v\n%s", err, spec.Canonical())
		}
	})
}
