package gobuild

import (
	"context"
	"fmt"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/childenv"
)

// goFlags is what the environment, or "go env -w", says about every build.
type goFlags struct {
	// Settings are those words of GOFLAGS, and those variables, that a template may hold. Others hold too, but a template
	// does not name them.
	Settings
	all string // the text of all of them
}

// holding are the variables of the environment that a program depends on.
var holding = []string{"GOFLAGS", "GOEXPERIMENT", "GOFIPS140"}

// Runner runs the go command in dir with the environment env and returns what it wrote, stdout and stderr.
type Runner func(ctx context.Context, dir string, env, args []string) (output []byte, err error)

// readGoFlags asks the go command, which knows its configuration file too.
func readGoFlags(ctx context.Context, run Runner) (goFlags, error) {
	output, err := run(ctx, ".", childenv.Go(), append([]string{"env"}, holding...))
	if err != nil {
		return goFlags{}, fmt.Errorf("go env: %w\n%s", err, output)
	}
	// The values are the last lines: a go command, or a version manager in its place, may print a notice before them.
	lines := strings.Split(strings.TrimSuffix(string(output), "\n"), "\n")
	if len(lines) < len(holding) {
		return goFlags{}, fmt.Errorf("go env must print %d lines, got %q", len(holding), output)
	}
	values := lines[len(lines)-len(holding):]
	flags := goFlags{all: strings.Join(values, "\n")}
	flags.Experiment = values[1]
	if values[2] != "off" { // what is there without the variable
		flags.FIPS140 = values[2]
	}
	words, err := split(values[0])
	if err != nil {
		return goFlags{}, fmt.Errorf("GOFLAGS: %w", err)
	}
	for _, word := range words {
		name, value, _ := strings.Cut(strings.TrimPrefix(word, "-"), "=")
		switch strings.TrimPrefix(name, "-") {
		case "tags":
			flags.Tags = strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
		case "ldflags":
			if flags.LDFlags, err = splitLinkerFlags(value); err != nil {
				return goFlags{}, fmt.Errorf("GOFLAGS: -ldflags: %w", err)
			}
		default:
			if flag := "-" + strings.TrimLeft(word, "-"); validFlag(flag) {
				flags.Flags = append(flags.Flags, flag)
			}
		}
	}
	if err := flags.Validate(); err != nil {
		return goFlags{}, fmt.Errorf("GOFLAGS, GOEXPERIMENT or GOFIPS140: %w", err)
	}
	return flags, nil
}

// splitLinkerFlags returns the flags one by one, each with its value.
func splitLinkerFlags(value string) ([]string, error) {
	words, err := split(value)
	if err != nil {
		return nil, err
	}
	var flags []string
	for i := 0; i < len(words); i++ {
		flag := words[i]
		if flag == "-X" && i+1 < len(words) {
			i++
			flag += " " + words[i]
		}
		flags = append(flags, flag)
	}
	return flags, nil
}

// split splits a list of flags at white space, outside of quotes, as the go command does: a word that begins
// with a quote ends with the next one.
func split(text string) ([]string, error) {
	const space = " \t\r\n"
	var words []string
	for text = strings.TrimLeft(text, space); text != ""; text = strings.TrimLeft(text, space) {
		if text[0] != '"' && text[0] != '\'' {
			end := strings.IndexAny(text, space)
			if end < 0 {
				end = len(text)
			}
			words, text = append(words, text[:end]), text[end:]
			continue
		}
		word, rest, closed := strings.Cut(text[1:], text[:1])
		if !closed {
			return nil, fmt.Errorf("the quote before %q has no end", text[1:])
		}
		words, text = append(words, word), rest
	}
	return words, nil
}
