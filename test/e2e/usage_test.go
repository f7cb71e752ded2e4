package e2e

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// TestMistakes: whatever is wrong is one line that names it and what is allowed. A command line that is wrong ends with 2.
func TestMistakes(t *testing.T) {
	occupyDefaultPorts(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())

	used := t.TempDir()
	start(t, assembly, "--data", used)

	unsupported := patched(t, func(p tmpl) {
		p.resources["Cache"] = map[string]any{"Type": "AWS::ElastiCache::CacheCluster", "Properties": map[string]any{}}
		p.resources["Thing"] = map[string]any{"Type": "AWS::IoT::Thing", "Properties": map[string]any{}}
	})
	intrinsic := patched(t, func(p tmpl) {
		p.properties("AWS::SQS::Queue", "PublisherOne/Queue")["VisibilityTimeout"] = map[string]any{"Fn::ImportValue": "elsewhere"}
	})
	foreign := patched(t, func(p tmpl) {
		fn := p.find("AWS::Lambda::Function", "PublisherOne")
		delete(fn["Metadata"].(map[string]any), "outboxkit:golambda")
		fn["Properties"].(map[string]any)["Runtime"] = "ruby3.4"
	})
	broken := patched(t, func(p tmpl) { p.replaceFunction("PublisherOne", "does-not-exist") })

	for name, c := range map[string]struct {
		args   []string
		env    []string
		misuse bool
		names  []string // what the message names
	}{
		"no cloud assembly":            {args: []string{"--app", t.TempDir()}, names: []string{"cdk synth"}},
		"an unknown stack":             {args: []string{"--app", assembly, "--stack", "Orders-qa"}, names: []string{"Orders-qa", "Orders-dev", "Orders-prod"}},
		"an unknown flag":              {args: []string{"--prot", "1"}, misuse: true, names: []string{"prot", "--help"}},
		"a port out of range":          {args: []string{"--port", "70000"}, misuse: true, names: []string{"70000", "0 to"}},
		"a word too many":              {args: []string{"Orders-dev"}, misuse: true, names: []string{`"Orders-dev"`}},
		"a port that is taken":         {args: []string{"--app", assembly, "--port", port}, names: []string{port, "--port"}},
		"a data folder in use":         {args: []string{"--app", assembly, "--data", used}, names: []string{used, "another local run"}},
		"no Java":                      {args: []string{"--app", assembly}, env: []string{"JAVA_HOME=/nowhere"}, names: []string{"Java 17"}},
		"types that it does not know":  {args: []string{"--app", unsupported}, names: []string{"Cache", "AWS::ElastiCache::CacheCluster", "Thing", "AWS::IoT::Thing"}},
		"an intrinsic it lacks":        {args: []string{"--app", intrinsic}, names: []string{"OutboxPublisherOneQueue", "AWS::SQS::Queue", "Fn::ImportValue"}},
		"a runtime it lacks":           {args: []string{"--app", foreign}, names: []string{"OutboxPublisherOneFunction", "ruby3.4"}},
		"a function that is not there": {args: []string{"--app", broken}, names: []string{"OutboxPublisherOneFunction", "does-not-exist"}},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(within(t), binary, append([]string{"local", "--port", "0"}, c.args...)...)
			cmd.Dir = root
			cmd.Env = append(os.Environ(), c.env...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if err := cmd.Run(); err == nil {
				t.Fatal("it ran")
			}
			want := 1
			if c.misuse {
				want = 2
			}
			if code := cmd.ProcessState.ExitCode(); code != want {
				t.Errorf("it ended with %d, want %d", code, want)
			}
			message := stderr.String()
			for _, want := range c.names {
				if !strings.Contains(message, want) {
					t.Errorf("the message is %q, which does not name %q", message, want)
				}
			}
			if strings.Contains(message, "goroutine ") {
				t.Errorf("it panicked:\n%s", message)
			}
		})
	}
}

// occupyDefaultPorts makes the ports that a run takes by default taken, as they are while another run is up: a test that
// needs one of them then fails on every machine.
func occupyDefaultPorts(t *testing.T) {
	t.Helper()
	const first, ports = 4510, 5
	for port := first; port < first+ports; port++ {
		taken, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue // it is taken already
		}
		t.Cleanup(func() { taken.Close() })
	}
}

// TestNothingStays: the run ends within two seconds of a Ctrl-C, takes all its processes with it, also
// after kill -9, and while it is up nothing of it listens anywhere but on loopback.
func TestNothingStays(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("processes and sockets are looked up in /proc")
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	t.Setenv("GITHUB_TOKEN", secret)
	for name, end := range map[string]func(*testing.T, *localrun.Run){
		"Ctrl-C": func(t *testing.T, run *localrun.Run) {
			begin := time.Now()
			if err := run.Stop(); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("it took %s to end", took)
			}
		},
		"kill -9": func(_ *testing.T, run *localrun.Run) { run.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			run := launch(t, assembly)
			id := post(t, run, tea)
			awaitPublishers(t, run, id, "PublisherOne", "PublisherTwo")
			family := processes(t, run.PID())
			if len(family) < 5 { // itself, DynamoDB Local, fauxqs, the renderer, functions
				t.Errorf("the run has %d processes, which are fewer than there must be: the test looks in the wrong place", len(family))
			}
			seeNoSecrets(t, family[1:])
			for _, address := range listening(t, family) {
				if !strings.HasPrefix(address, "0100007F:") {
					t.Errorf("a process of the run listens on %s (hexadecimal), which is not 127.0.0.1", address)
				}
			}
			end(t, run)
			eventually(t, "every process of the run has ended", func(context.Context) bool {
				for _, pid := range family {
					if alive(pid) {
						return false
					}
				}
				return true
			})
		})
	}
}

// processes returns the process and all that descend from it.
func processes(t *testing.T, pid int) []int {
	t.Helper()
	family := []int{pid}
	tasks, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "children"))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		raw, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		for _, child := range strings.Fields(string(raw)) {
			id, err := strconv.Atoi(child)
			if err != nil {
				t.Fatal(err)
			}
			family = append(family, processes(t, id)...)
		}
	}
	return family
}

// alive reports whether the process runs; one that has ended and waits for its parent does not.
func alive(pid int) bool {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(raw), ") ")
	return !strings.HasPrefix(state, "Z")
}

// listening returns the local addresses, as the kernel writes them, on which the processes accept connections.
func listening(t *testing.T, pids []int) []string {
	t.Helper()
	sockets := map[string]bool{}
	for _, pid := range pids {
		files, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "fd", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if link, err := os.Readlink(file); err == nil && strings.HasPrefix(link, "socket:[") {
				sockets[strings.Trim(link, "socket:[]")] = true
			}
		}
	}
	var addresses []string
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		raw, err := os.ReadFile(table)
		if err != nil {
			continue // no IPv6
		}
		for line := range strings.Lines(string(raw)) {
			const listen = "0A"
			if f := strings.Fields(line); len(f) > 9 && f[3] == listen && sockets[f[9]] {
				addresses = append(addresses, f[1])
			}
		}
	}
	if len(addresses) == 0 {
		t.Error("the run listens nowhere: the test looks in the wrong place")
	}
	return addresses
}
