package local

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// defaultApp is the folder that cdk synth writes by default.
const defaultApp = "cdk.out"

// stacks returns the stacks that the options name.
func (o Options) stacks(out console.Console) ([]*template.Stack, error) {
	if o.Template != "" {
		stack, err := template.ReadTemplate(o.Template, strings.Join(o.Stacks, ""))
		return []*template.Stack{stack}, err
	}
	assembly, err := template.ReadAssembly(cmp.Or(o.App, defaultApp))
	if err != nil {
		return nil, err
	}
	chosen := o.Stacks
	names := assembly.Names()
	switch {
	case o.All:
		chosen = names
	case len(chosen) == 0:
		chosen = names[:1]
		if len(names) > 1 {
			out.Notice(fmt.Sprintf("Running %s, the first of %d stacks; --stack chooses others, --all takes all: %s", names[0], len(names), strings.Join(names[1:], ", ")))
		}
	}
	return assembly.Select(chosen...)
}

// region returns the one that the app pinned for the stacks, or the CLI's default.
func region(stacks []*template.Stack) string {
	for _, s := range stacks {
		if s.Region != "" {
			return s.Region
		}
	}
	return cmp.Or(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), "us-east-1")
}
