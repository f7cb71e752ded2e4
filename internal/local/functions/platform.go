package functions

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// jsonFormat is the LogFormat with which Lambda's own lines are JSON; those of the function are its runtime's matter.
const jsonFormat = "JSON"

// A report is what Lambda logs at the end of an invocation.
type report struct {
	inv      *invocation
	duration time.Duration
	init     time.Duration // of the environment's first invocation, else 0
	memory   int           // MB at most used, 0 when it is not known
	failure  *FunctionError
}

// platformRecord is one of Lambda's own lines in the format JSON.
// Source: Lambda developer guide, monitoring-cloudwatchlogs-logformat, "System log event messages", and telemetry-schema-reference.
type platformRecord struct {
	Time   string `json:"time"`
	Type   string `json:"type"`
	Record any    `json:"record"`
}

type startRecord struct {
	RequestID   string `json:"requestId"`
	FunctionARN string `json:"functionArn"`
	Version     string `json:"version"`
}

type reportRecord struct {
	RequestID string        `json:"requestId"`
	Metrics   reportMetrics `json:"metrics"`
	Status    string        `json:"status"`
	ErrorType string        `json:"errorType,omitempty"`
}

type reportMetrics struct {
	Duration       float64 `json:"durationMs"`
	BilledDuration int64   `json:"billedDurationMs"`
	MemorySize     int     `json:"memorySizeMB"`
	MaxMemoryUsed  int     `json:"maxMemoryUsedMB,omitempty"`
	InitDuration   float64 `json:"initDurationMs,omitempty"`
}

// logStart logs that an invocation begins.
func (f *function) logStart(inv *invocation) {
	if f.props.LoggingConfig.LogFormat != jsonFormat {
		f.logPlatform(inv.cause, "START RequestId: "+inv.id+" Version: $LATEST")
		return
	}
	if f.systemLevel() <= levelInfo {
		f.logRecord(inv.cause, "platform.start", startRecord{inv.id, f.arn, "$LATEST"})
	}
}

// logReport logs that an invocation has ended, and how.
func (f *function) logReport(r report) {
	if f.props.LoggingConfig.LogFormat != jsonFormat {
		f.logPlatform(r.inv.cause, "END RequestId: "+r.inv.id)
		f.logPlatform(r.inv.cause, r.text(f.memorySize()))
		return
	}
	if f.systemLevel() <= levelInfo || r.failure != nil {
		f.logRecord(r.inv.cause, "platform.report", r.record(f.memorySize()))
	}
}

// The levels of Lambda's own lines: INFO shows all of these, WARN those of invocations that fail.
// Source: Lambda developer guide, monitoring-cloudwatchlogs-log-level, "System log level event mapping".
const (
	levelDebug = iota
	levelInfo
	levelWarn
)

func (f *function) systemLevel() int {
	switch f.props.LoggingConfig.SystemLogLevel {
	case "DEBUG":
		return levelDebug
	case "WARN":
		return levelWarn
	default:
		return levelInfo
	}
}

func (f *function) logRecord(c hop.Cause, kind string, record any) {
	line, err := json.Marshal(platformRecord{time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), kind, record})
	if err == nil {
		f.logPlatform(c, string(line))
	}
}

func (f *function) logPlatform(c hop.Cause, line string) {
	f.report(c, hop.Hop{Stage: hop.Platform, Outcome: hop.OK, Detail: line})
}

// text returns the line REPORT. Its fields are separated by tabs, and each is followed by one.
// Source: Lambda developer guide, golang-logging, "Report Log".
func (r report) text(memorySize int) string {
	fields := []string{
		"REPORT RequestId: " + r.inv.id,
		fmt.Sprintf("Duration: %.2f ms", milliseconds(r.duration)),
		fmt.Sprintf("Billed Duration: %d ms", r.billed()),
		fmt.Sprintf("Memory Size: %d MB", memorySize),
	}
	if r.memory > 0 {
		fields = append(fields, fmt.Sprintf("Max Memory Used: %d MB", r.memory))
	}
	if r.init > 0 {
		fields = append(fields, fmt.Sprintf("Init Duration: %.2f ms", milliseconds(r.init)))
	}
	switch status := r.status(); {
	case status == "timeout":
		fields = append(fields, "Status: timeout")
	case status == "error" && strings.HasPrefix(r.failure.Type, "Runtime."):
		fields = append(fields, "Status: error", "Error Type: "+r.failure.Type)
	}
	return strings.Join(fields, "\t") + "\t"
}

func (r report) record(memorySize int) reportRecord {
	record := reportRecord{
		RequestID: r.inv.id,
		Metrics: reportMetrics{
			Duration: milliseconds(r.duration), BilledDuration: r.billed(), MemorySize: memorySize,
			MaxMemoryUsed: r.memory, InitDuration: milliseconds(r.init),
		},
		Status: r.status(),
	}
	if r.failure != nil {
		record.ErrorType = r.failure.Type
	}
	return record
}

func (r report) status() string {
	switch {
	case r.failure == nil:
		return "success"
	case r.failure.Type == TypeTimeout:
		return "timeout"
	default:
		return "error"
	}
}

// billed returns the milliseconds that Lambda bills, rounded up, with those of the initialization.
// Source: Lambda developer guide, lambda-runtime-environment, "Cold starts": the initialization is billed.
func (r report) billed() int64 {
	return int64(math.Ceil(float64(r.duration+r.init) / float64(time.Millisecond)))
}

// milliseconds returns a duration in milliseconds, with three digits after the point.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

// asFunctionError returns the failure of an invocation, or nil.
func asFunctionError(err error) *FunctionError {
	var failure *FunctionError
	errors.As(err, &failure)
	return failure
}

var peak = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// peakMemory returns how many MB the process has used at most, or 0 where the system does not tell: only Linux does.
// Source: proc_pid_status(5), VmHWM.
func peakMemory(pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	match := peak.FindSubmatch(status)
	if match == nil {
		return 0
	}
	kilobytes, _ := strconv.Atoi(string(match[1]))
	return (kilobytes + 1023) / 1024
}
