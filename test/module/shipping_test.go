// Package module uses the project as another team does: from a module of its own, by what the README says.
package module

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// TestREADMEFromEmptyFolderToEffect does what the README's section about one's own app says, from an empty folder on: it runs
// the section's commands word by word. What differs is that the module is this checkout, and the ports are free ones.
func TestREADMEFromEmptyFolderToEffect(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs the whole stack")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	page := readSection(t, "Use the construct in your own app")
	if len(page.scripts) < 3 {
		t.Fatalf("the section must have shell blocks that begin, run and use the module, got %q", page.scripts)
	}
	begin, start, use := page.scripts[0], page.scripts[1], page.scripts[2]
	m := newModule(ctx, t)

	const initialized = "go mod init example.com/shipping\n"
	m.script(replace(t, begin, initialized, initialized+"go mod edit -replace "+path+"=$CHECKOUT\n"))
	m.dir = filepath.Join(m.dir, "shipping")
	for _, file := range append(page.files, exampleTest) {
		m.copyFromExample(file)
	}
	m.script(replace(t, start, "go tool outbox local ", "true "))
	m.compareWithExample("go.sum")
	m.script("cd $CHECKOUT/examples/shipping && go mod tidy -diff")
	m.script("go tool outbox --version | grep -q 'outbox version'")
	m.script("go tool outbox dead-letters redrive --help | grep -q -- --forgotten")

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
	use = replace(t, use, "ORDERS_TABLE=...", "ORDERS_TABLE="+tables["Orders"])
	use = replace(t, use, "OUTBOX_TABLE=...", "OUTBOX_TABLE="+tables["Outbox/Table"])
	m.script(replace(t, use, "http://127.0.0.1:4511", run.Cloud().Endpoint(cloud.DynamoDB)))

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
	m.script("go test .") // beside the run: it starts one of its own
}

// exampleTest is the example's own test, which docs/testing.md tells readers to copy.
const exampleTest = "shipping_test.go"

// TestREADMELooksUpWhatThereIs runs the README's `go doc` commands, in this checkout: elsewhere they load more of the module
// graph than a build, and may have to fetch it.
func TestREADMELooksUpWhatThereIs(t *testing.T) {
	scripts := readSection(t, "Use the construct in your own app").scripts
	if len(scripts) < 4 || !strings.Contains(scripts[3], "go doc "+path) {
		t.Fatalf("the fourth shell block of the section must have commands of go doc, got %q", scripts)
	}
	m := module{t: t, ctx: t.Context(), dir: "../..", env: os.Environ()}
	m.script(scripts[3])
}

const path = "github.com/outboxkit/transactional-outbox"

// A section is what a reader of the README's section does: the shell blocks to run, and the files of examples/shipping that it
// shows, whole or in part. That it shows them as they are is a test of test/synth.
type section struct {
	scripts []string
	files   []string
}

var (
	shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
	shownFile  = regexp.MustCompile(`(?m)^<!-- examples/shipping/([\w./-]+)(?:: \w+)? -->$`)
)

func readSection(t *testing.T, title string) (s section) {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(readme), "\n## "+title+"\n")
	if !found {
		t.Fatalf("the README has no section %q", title)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	for _, block := range shellBlock.FindAllStringSubmatch(text, -1) {
		s.scripts = append(s.scripts, block[1])
	}
	for _, file := range shownFile.FindAllStringSubmatch(text, -1) {
		s.files = append(s.files, file[1])
	}
	return s
}

// replace replaces what the README must say.
func replace(t *testing.T, text, says, by string) string {
	t.Helper()
	if strings.Count(text, says) != 1 {
		t.Fatalf("the README must say %q once in\n%s", says, text)
	}
	return strings.Replace(text, says, by, 1)
}

// A module is a folder outside this repository in which a reader works.
type module struct {
	t       *testing.T
	ctx     context.Context
	example string // examples/shipping of this checkout
	dir     string
	env     []string
}

// npm stands in for `npm install`: it links what this checkout has installed, the same packages in the same versions, see
// TestShippingPackages.
const npm = `#!/bin/sh
[ "$*" = install ] && [ -f package.json ] && ln -s "$CHECKOUT/node_modules" node_modules
`

func newModule(ctx context.Context, t *testing.T) *module {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "npm"), []byte(npm), 0o755); err != nil {
		t.Fatal(err)
	}
	return &module{
		t: t, ctx: ctx, dir: t.TempDir(), example: filepath.Join(root, "examples", "shipping"),
		// Nothing is fetched: the modules are those of go.sum, with which the result is compared.
		env: append(
			os.Environ(), "GOPROXY=off", "GOSUMDB=off", "GOFLAGS=", "GOWORK=off", "CHECKOUT="+root,
			"PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"),
		),
	}
}

// script runs commands as a shell does that stops at the first one that fails.
func (m *module) script(text string) {
	m.t.Helper()
	cmd := exec.CommandContext(m.ctx, "bash", "-euo", "pipefail", "-c", text)
	cmd.Dir, cmd.Env = m.dir, m.env
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("%v\n%s\n%s", err, text, out)
	}
}

func (m *module) copyFromExample(file string) {
	m.t.Helper()
	content, err := os.ReadFile(filepath.Join(m.example, file))
	if err != nil {
		m.t.Fatal(err)
	}
	to := filepath.Join(m.dir, file)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// compareWithExample: the example is where the README leads.
func (m *module) compareWithExample(file string) {
	m.t.Helper()
	want, err := os.ReadFile(filepath.Join(m.example, file))
	if err != nil {
		m.t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(m.dir, file))
	if err != nil {
		m.t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		m.t.Errorf("examples/shipping/%s differs from what the README's commands leave", file)
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
