package operate

import (
	"fmt"
	"regexp"
	"strings"
)

// A CommandLine makes command lines for a person to type, on the same stack as the command that prints them.
type CommandLine struct {
	Stack  string
	Outbox string // where one of several is meant
	Local  bool
	Port   int // of the local run
}

// For returns the command line of a subcommand with its arguments: "outbox resume --stack Orders-dev --pipe".
func (c CommandLine) For(subcommand string, args ...string) string {
	words := []string{"outbox", subcommand}
	if c.Local {
		words = append(words, "--local")
		if c.Port != DefaultPort {
			words = append(words, "--port", fmt.Sprint(c.Port))
		}
	}
	if c.Stack != "" {
		words = append(words, "--stack", quote(c.Stack))
	}
	if c.Outbox != "" {
		words = append(words, "--outbox", quote(c.Outbox))
	}
	for _, arg := range args {
		words = append(words, quote(arg))
	}
	return strings.Join(words, " ")
}

// plainWord is what a shell takes as it is.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// quote returns a word as a POSIX shell reads it.
func quote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
