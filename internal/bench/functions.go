package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/gobuild"
	"github.com/outboxkit/transactional-outbox/internal/local/toolchain"
)

const starts = 20

// functions measures each function of the stack: the size of its archive, and the time from the start of its process to
// its first request for an invocation.
func (b *bench) functions(ctx context.Context) error {
	packages, err := functionPackages()
	if err != nil {
		return err
	}
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		fn := packages[name]
		size, err := zipSize(ctx, filepath.Join("cdk.out", fn.asset))
		if err != nil {
			return err
		}
		start, err := b.firstNext(ctx, fn)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		rows = append(rows, []string{name, fmt.Sprintf("%.2f MB", float64(size)/1e6), millis(start)})
	}
	b.table("Functions", []string{"function", "zip", fmt.Sprintf("process start to first `/next` (median of %d)", starts)}, rows...)
	return nil
}

// A function holds what the template declares about a function: its asset, source folder and build settings.
type function struct {
	asset  string // folder in the cloud assembly
	source string // folder of the main package, relative to the cloud assembly
	gobuild.Settings
}

// functionPackages returns the Go functions of the synthesized stack, by the name of their folder.
func functionPackages() (map[string]function, error) {
	raw, err := os.ReadFile(filepath.Join("cdk.out", stack+".template.json"))
	if err != nil {
		return nil, err
	}
	var template struct {
		Resources map[string]struct {
			Type     string
			Metadata struct {
				Asset string `json:"aws:asset:path"`
				Go    struct {
					Source string `json:"source"`
					gobuild.Settings
				} `json:"outboxkit:golambda"`
			}
		}
	}
	if err := json.Unmarshal(raw, &template); err != nil {
		return nil, err
	}
	found := map[string]function{}
	for _, r := range template.Resources {
		if m := r.Metadata; r.Type == "AWS::Lambda::Function" && m.Go.Source != "" {
			found[path.Base(m.Go.Source)] = function{m.Asset, m.Go.Source, m.Go.Settings}
		}
	}
	return found, nil
}

// builder builds functions as the local run does.
func builder() *gobuild.Builder {
	return gobuild.New(func(ctx context.Context, dir string, env, args []string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir, cmd.Env = dir, env
		return cmd.CombinedOutput()
	})
}

// packer prints the size of a folder's only file in an archive as the CDK CLI makes it: with the npm package
// yazl, which compresses with Node's zlib at level 6, and adds 130 bytes of headers or less.
const packer = `
const { readdirSync, readFileSync } = require("fs");
const [file, ...others] = readdirSync(process.argv[1]);
if (others.length) throw new Error("more than one file");
console.log(require("zlib").deflateRawSync(readFileSync(process.argv[1] + "/" + file), { level: 6 }).length + 130);`

// zipSize returns how many bytes the CDK CLI uploads for the folder.
func zipSize(ctx context.Context, dir string) (int, error) {
	node, err := toolchain.Node(ctx)
	if err != nil {
		return 0, err
	}
	out, err := exec.CommandContext(ctx, node, "-e", packer, dir).Output()
	if err != nil {
		return 0, fmt.Errorf("pack %s: %w", dir, err)
	}
	return strconv.Atoi(strings.TrimSpace(string(out)))
}

// firstNext builds the function for this machine and starts it against a Runtime API that gives it no work.
func (b *bench) firstNext(ctx context.Context, fn function) (time.Duration, error) {
	dir, err := filepath.Abs(filepath.Join("cdk.out", fn.source))
	if err != nil {
		return 0, err
	}
	target := gobuild.Target{Dir: dir, GOOS: runtime.GOOS, GOARCH: runtime.GOARCH, Settings: fn.Settings}
	binary, err := builder().Program(ctx, target)
	if err != nil {
		return 0, err
	}
	var all []time.Duration
	for range starts {
		d, err := startOnce(ctx, binary)
		if err != nil {
			return 0, err
		}
		all = append(all, d)
	}
	return median(all), nil
}

func startOnce(ctx context.Context, binary string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	asked := make(chan time.Time, 1)
	var once sync.Once
	api := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/runtime/invocation/next") {
			once.Do(func() { asked <- time.Now() })
		}
		<-ctx.Done()
	})}
	go api.Serve(listener) //nolint:errcheck // it ends when the listener is closed below
	defer api.Close()
	cmd := exec.CommandContext(ctx, binary)
	// What the functions ask for at start; nothing is called before the first event.
	cmd.Env = append(os.Environ(), "AWS_LAMBDA_RUNTIME_API="+listener.Addr().String(), "AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=any", "AWS_SECRET_ACCESS_KEY=any",
		"OUTBOX_TABLE=t", "OUTBOX_SOURCE=s", "INBOX_TABLE=t", "INBOX_CONSUMER=c", "INBOX_TTL_SECONDS=1", "ORDERS_TABLE=t",
		"CONSUMER_DLQ_URL=http://127.0.0.1/q", "CONSUMER_QUEUE_URL=http://127.0.0.1/q", "NOTIFICATIONS_TABLE=t")
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		cancel()
		_ = cmd.Wait()
	}()
	select {
	case at := <-asked:
		return at.Sub(begin), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("%s requested no invocation within 10 s", filepath.Base(binary))
	}
}
