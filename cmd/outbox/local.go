package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/outboxkit/transactional-outbox/internal/local"
	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/operate"
	"github.com/outboxkit/transactional-outbox/internal/page"
	"github.com/outboxkit/transactional-outbox/internal/page/running"
)

func newLocal() *cobra.Command {
	var o local.Options
	var asJSON, verbose bool
	cmd := &cobra.Command{
		Use:   "local",
		Short: "Run synthesized stacks on this machine",
		Long: `Run synthesized CDK stacks, or a CloudFormation template, on this machine, with no AWS account and no Docker.

It reads nothing but the cloud assembly or the template and the code that they name, listens on 127.0.0.1 only, and runs
until Ctrl-C. It serves a page that shows the events as they move, and prints its address first. Running an assembly runs its
functions' code. It runs on Linux, macOS and WSL, and needs Node.js, Java 17 or later and the npm packages that the
README names.`,
		Example: `  npx cdk synth --quiet
  outbox local --stack Orders-dev
  outbox local --stack Orders-dev --stack Shipping-dev
  outbox local --template template.yaml --parameter Stage=dev
  outbox local --data .local/data      # a later run continues there`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := console.Text(cmd.OutOrStdout(), verbose)
			if asJSON {
				out = console.JSON(cmd.OutOrStdout())
			}
			return runWithPage(cmd.Context(), o, out)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.App, "app", "", "`folder` that cdk synth wrote (default: cdk.out)")
	flags.StringVar(&o.Template, "template", "", "CloudFormation template, a JSON or YAML `file`, that runs in place of an app")
	flags.StringArrayVar(&o.Stacks, "stack", nil, "`name` of a stack, and again for each further one (default: the first of the app); with --template what to call the stack")
	flags.BoolVar(&o.All, "all", false, "run all stacks of the app")
	flags.StringArrayVar(&o.Parameters, "parameter", nil, "`NAME=VALUE` of a template's parameter, or STACK:NAME=VALUE, and again for each further one")
	flags.StringArrayVar(&o.StandIns, "stand-in", nil, "`KIND=NAME` of what is made because no stack of the run has it: "+local.StandInForms)
	flags.IntVar(&o.Port, "port", 4510, "`port` of the REST API; the AWS endpoints, the page and further REST APIs take the ports after it; 0 lets the system choose all of them")
	flags.StringVar(&o.Data, "data", "", "`folder` that keeps tables, queues and checkpoints; a later run with it continues there (default: a new temporary folder)")
	flags.BoolVar(&o.Keep, "keep", false, "do not remove the temporary folder at the end")
	flags.BoolVar(&asJSON, "json", false, "print one JSON object a line, for programs")
	flags.BoolVar(&verbose, "verbose", false, "list the stack's resources at the start, which the page shows too")
	flags.StringVar(&o.Faults, "faults", "", "`file` with a plan of faults to inject; SIGUSR1 ends them")
	flags.StringVar(&o.IAM, "iam", local.IAMOn, "`on or off`: refuse what the policies of the template do not allow, or let every call in")
	flags.BoolVar(&o.Watch, "watch", false, "build a function again when its source is saved, and apply another template when it is synthesized")
	flags.BoolVar(&o.Auth, "auth", false, "check the signature and the permissions of the API's callers (default: everybody is let in)")
	completeFiles(cmd)
	check(cmd, func() error { return o.Validate() }) //nolint:gocritic // o.Validate would copy o before the flags are parsed
	return cmd
}

// runWithPage runs a stack with the page that shows it, until ctx is done or a part of it fails.
func runWithPage(ctx context.Context, o local.Options, out console.Console) error {
	listener, err := page.Listen(ctx, o.PagePort())
	if err != nil {
		return err
	}
	defer listener.Close()
	o.Page = page.URL(listener)
	tap := running.NewTap(out)
	return local.RunWith(ctx, o, tap, func(ctx context.Context, session *local.Session) error {
		shown, err := running.New(ctx, session, tap, o.Port, func() string { return operate.DefaultSave(time.Now()) })
		if err != nil {
			return fmt.Errorf("the page: %w", err)
		}
		return page.New(shown, shown).Serve(ctx, listener)
	})
}

// completeFiles lets the shell complete the flags that name folders and files.
func completeFiles(cmd *cobra.Command) {
	err := errors.Join(cmd.MarkFlagDirname("app"), cmd.MarkFlagDirname("data"), cmd.MarkFlagFilename("faults", "json"), cmd.MarkFlagFilename("template", "json", "yaml", "yml", "template"))
	if err != nil {
		panic(err) // a flag that the command does not have
	}
}
