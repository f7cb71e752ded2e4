package gobuild

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/childenv"
)

// A job is a target on its way to its result.
type job struct {
	located
	*result
	args []string // of go build
	kept string   // where its program stays
}

func newJob(t Target, r *result, flags goFlags, err error) (*job, error) {
	if err != nil {
		return nil, err
	}
	settings := t.effective(flags.Settings)
	if err := settings.Validate(); err != nil {
		return nil, err
	}
	l, err := locate(t)
	if err != nil {
		return nil, err
	}
	kept, err := keptProgram(t.key() + "\x00" + flags.all)
	if err != nil {
		return nil, err
	}
	return &job{located: l, result: r, args: t.args(settings), kept: kept}, nil
}

// alike reports whether one go command can build both.
func alike(a, b *job) bool {
	return a.module == b.module && a.Standalone == b.Standalone && a.GOOS == b.GOOS && a.GOARCH == b.GOARCH && slices.Equal(a.args, b.args) && slices.Equal(a.Settings.env(), b.Settings.env()) &&
		a.name != "" && b.name != "" && !strings.EqualFold(a.name, b.name) // the files of a folder, on macOS too
}

// rounds sorts the jobs into those that one go command can build.
func rounds(jobs []*job) [][]*job {
	var all [][]*job
next:
	for _, j := range jobs {
		for i, round := range all {
			if !slices.ContainsFunc(round, func(other *job) bool { return !alike(j, other) }) {
				all[i] = append(round, j)
				continue next
			}
		}
		all = append(all, []*job{j})
	}
	return all
}

// buildRound builds the jobs by one go command. When one of them fails, and where a program did not come out,
// each is built alone: what has been compiled is in the go command's cache, and an error then is of one program.
func (b *Builder) buildRound(ctx context.Context, round []*job) {
	if len(round) > 1 {
		if left, err := b.command(ctx, round); err == nil {
			round = left
		}
	}
	for _, j := range round {
		left, err := b.command(ctx, []*job{j})
		if err == nil && len(left) > 0 {
			j.name = "" // whatever comes out is it
			left, err = b.command(ctx, []*job{j})
		}
		switch {
		case err != nil:
			j.finish("", err)
		case len(left) > 0:
			j.finish("", fmt.Errorf("go build %s in %s: it made no program", j.pkg, j.module))
		}
	}
}

// command builds the jobs by one go command and finishes those whose program came out; left are the others. After an
// error none is finished. The programs of an earlier build lie where the go command writes: one that is up to date is not
// linked again.
func (b *Builder) command(ctx context.Context, jobs []*job) (left []*job, err error) {
	work, err := workFolder()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	for _, j := range jobs {
		j.warm(work)
	}
	first := jobs[0]
	args := append(append([]string{"build"}, first.args...), "-o", work+string(filepath.Separator))
	for _, j := range jobs {
		args = append(args, j.pkg)
	}
	if output, err := b.run(ctx, first.module, first.env(childenv.Go()), args); err != nil {
		return nil, fmt.Errorf("go build %s in %s: %w\n%s", first.pkg, first.module, err, bytes.TrimSpace(output))
	}
	for _, j := range jobs {
		switch made, err := j.keep(work); {
		case err != nil:
			j.finish("", err)
		case made:
			j.finish(j.kept, nil)
		default:
			left = append(left, j)
		}
	}
	return left, nil
}
