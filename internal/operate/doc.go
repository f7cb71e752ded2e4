// Package operate implements the command's subcommands against AWS or the local run: everything but flags and exit codes.
package operate
