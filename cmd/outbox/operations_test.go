package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// operationsPage is what somebody reads who was woken up.
const operationsPage = "../../docs/operations.md"

// commandLines returns the command lines of a page of a program: the lines of its sh blocks and of its tables that begin with it.
func commandLines(t *testing.T, file, program string) (lines []string) {
	t.Helper()
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	inBlock := false
	for line := range strings.Lines(string(page)) {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "```"):
			inBlock = trimmed == "```sh"
		case inBlock && strings.HasPrefix(trimmed, program+" "):
			lines = append(lines, trimmed)
		case !inBlock:
			for _, code := range codeSpan.FindAllStringSubmatch(line, -1) {
				if strings.HasPrefix(code[1], program+" ") && strings.Contains(code[1], " --") {
					lines = append(lines, code[1])
				}
			}
		}
	}
	return lines
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// TestTheOperationsPageCanBeTyped: each of its command lines gets as far as its command, and the page has all commands.
func TestTheOperationsPageCanBeTyped(t *testing.T) {
	lines := commandLines(t, operationsPage, "outbox")
	seen := map[string]bool{}
	for _, line := range lines {
		typed(t, line, seen)
		if !strings.Contains(line, " --stack NAME") && !strings.HasPrefix(line, "outbox inbox copy") && !strings.Contains(line, " --local") {
			t.Errorf("%q does not name the stack", line)
		}
	}
	for _, want := range []string{
		"status", "trace", "audit", "repair", "replay", "pause", "resume", "inbox copy",
		"dead-letters list", "dead-letters show", "dead-letters redrive", "dead-letters discard",
	} {
		if !seen[want] {
			t.Errorf("the page does not show outbox %s", want)
		}
	}
}

// awsCommands are the commands of the AWS CLI that the page may show, with the flags that they may have there.
// Source: AWS CLI command reference, version 2.
var awsCommands = map[string][]string{
	"cloudformation describe-stack-resource-drifts": {"--stack-name", "--stack-resource-drift-status-filters"},
	"cloudformation describe-stack-resources":       {"--stack-name", "--query", "--output"},
	"cloudformation detect-stack-drift":             {"--stack-name"},
	"events enable-rule":                            {"--name", "--event-bus-name"},
	"events list-rules":                             {"--name-prefix", "--event-bus-name", "--query", "--output"},
	"lambda get-account-settings":                   {},
	"logs tail":                                     {"--since", "--follow", "--filter-pattern"},
}

// TestTheOperationsPageOfAWS: what it shows of the AWS CLI is what that has.
func TestTheOperationsPageOfAWS(t *testing.T) {
	lines := commandLines(t, operationsPage, "aws")
	if len(lines) == 0 {
		t.Fatal("the page has no command of the AWS CLI")
	}
	for _, line := range lines {
		words := strings.Fields(line)
		flags, ok := awsCommands[strings.Join(words[1:min(3, len(words))], " ")]
		if !ok {
			t.Errorf("%q is not among the commands that were looked up", line)
		}
		for _, word := range words[min(3, len(words)):] {
			if strings.HasPrefix(word, "--") && !slices.Contains(flags, word) {
				t.Errorf("%q: %s was not looked up", line, word)
			}
		}
	}
}
