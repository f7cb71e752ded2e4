// Package module uses the project as another team does: from a module of its own, by what the README says.
package module

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// patience bounds the whole: on a machine that has never done it, the CDK's bindings are compiled.
const patience = 10 * time.Minute

// TestShippingFromCloneToEffect: the example is synthesized, run with `go tool outbox local`, and an order is shipped.
func TestShippingFromCloneToEffect(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs the whole stack")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m := newModule(ctx, t)

	// As one who has no command yet gets it, and keeps it: without the tool line `go mod tidy` drops what it needs.
	want := m.sums()
	m.run("", "go", "mod", "edit", "-droptool", command)
	m.run("", "go", "mod", "tidy")
	m.run("", "go", "get", "-tool", command)
	m.run("", "go", "mod", "tidy")
	if m.sums() != want {
		t.Error("examples/shipping/go.sum is not what go get -tool and go mod tidy leave")
	}
	m.run("", "npx", "--no-install", "cdk", "synth", "--quiet")
	m.run("outbox version", "go", "tool", "outbox", "--version")
	m.run("--dlq", "go", "tool", "outbox", "redrive", "rule", "--help")

	run, err := localrun.Start(ctx, localrun.Options{
		Tool: []string{"go", "tool", "outbox"}, Dir: m.dir, Args: []string{"--port", "0"}, Env: []string{"TMPDIR=" + t.TempDir()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := run.Stop(); err != nil {
			t.Errorf("stop the local run: %v", err)
		}
	})
	tables := tablesOf(run)
	m.env = append(
		m.env,
		"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_REGION="+run.Summary.Region,
		"AWS_ENDPOINT_URL_DYNAMODB="+run.Cloud().Endpoint(cloud.DynamoDB),
		"ORDERS_TABLE="+tables["Orders"], "OUTBOX_TABLE="+tables["Outbox/Table"], "OUTBOX_SOURCE=orders",
	)
	m.run("", "go", "run", "./order", "o-1")

	if _, err := run.Wait(ctx, 1, func(h hop.Hop) bool { return h.Stage == hop.Function && h.Outcome == hop.OK }); err != nil {
		t.Fatal(err)
	}
	for table, name := range map[string]string{"order": tables["Orders"], "shipment": tables["Shipments"]} {
		out, err := run.Cloud().DynamoDB().GetItem(ctx, &dynamodb.GetItemInput{
			TableName: &name, Key: map[string]types.AttributeValue{"orderId": &types.AttributeValueMemberS{Value: "o-1"}},
		})
		if err != nil || len(out.Item) == 0 {
			t.Errorf("there is no %s of the order: %v", table, err)
		}
	}
}

// command is what `go get -tool` is told.
const command = "github.com/outboxkit/transactional-outbox/cmd/outbox"

// module is a copy of examples/shipping outside this repository, with this checkout as the dependency.
type module struct {
	t   *testing.T
	ctx context.Context
	dir string
	env []string
}

func newModule(ctx context.Context, t *testing.T) *module {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	m := &module{t: t, ctx: ctx, dir: t.TempDir(), env: append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=mod")}
	if err := os.CopyFS(m.dir, os.DirFS(filepath.Join(root, "examples", "shipping"))); err != nil {
		t.Fatal(err)
	}
	m.run("", "go", "mod", "edit", "-replace", "github.com/outboxkit/transactional-outbox="+root)
	// What `npm install` installs: the same packages in the same versions, see TestShippingPackages.
	if err := os.Symlink(filepath.Join(root, "node_modules"), filepath.Join(m.dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *module) sums() string {
	m.t.Helper()
	sums, err := os.ReadFile(filepath.Join(m.dir, "go.sum"))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(sums)
}

// run runs a program in the module, which must succeed and print the text.
func (m *module) run(prints, name string, args ...string) {
	m.t.Helper()
	cmd := exec.CommandContext(m.ctx, name, args...)
	cmd.Dir, cmd.Env = m.dir, m.env
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), prints) {
		m.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// tablesOf returns the physical names of the tables by their construct path below the stack.
func tablesOf(run *localrun.Run) map[string]string {
	tables := map[string]string{}
	for _, r := range run.Summary.Resources {
		if strings.HasPrefix(r.Type, "AWS::DynamoDB::") {
			tables[r.Name] = r.Ref
		}
	}
	return tables
}
