package apigateway

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/process"
	"github.com/outboxkit/transactional-outbox/internal/local/toolchain"
)

//go:embed vtl/*.mjs
var vtl embed.FS

const (
	// renderTimeout limits one render. Templates cannot loop forever, but their regular expressions can.
	renderTimeout = 5 * time.Second
	startTimeout  = 15 * time.Second
)

var (
	errRenderTimeout = fmt.Errorf("the mapping template did not end within %s", renderTimeout)
	errRendererLost  = errors.New("the renderer's process ended")
	errMalformedBody = errors.New("the body begins like JSON and is none")
)

// A rendererProcess is one run of vtl/main.mjs.
type rendererProcess struct {
	proc   *process.Process
	stderr *excerpt
	closed chan struct{} // closed when no further response can arrive

	writing sync.Mutex
	stdin   *os.File

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan rendered
}

func startRenderer(ctx context.Context) (*rendererProcess, error) {
	node, err := toolchain.Node(ctx)
	if err != nil {
		return nil, err
	}
	velocityjs, err := toolchain.Package("velocityjs")
	if err != nil {
		return nil, err
	}
	dir, err := unpack()
	if err != nil {
		return nil, err
	}
	// Node has read its modules when it reports that it is ready, so no file is left, however this process ends.
	defer os.RemoveAll(dir)
	childIn, stdin, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer childIn.Close()
	stdout, childOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, stdin.Close())
	}
	defer childOut.Close()
	c := &rendererProcess{stdin: stdin, stderr: &excerpt{}, closed: make(chan struct{}), waiting: map[uint64]chan rendered{}}
	c.proc, err = process.Start(process.Spec{
		Path:   node,
		Args:   []string{filepath.Join(dir, "main.mjs"), velocityjs},
		Stdin:  childIn,
		Stdout: childOut,
		Stderr: c.stderr,
	})
	if err != nil {
		return nil, errors.Join(err, stdin.Close(), stdout.Close())
	}
	ready := make(chan struct{})
	go c.read(stdout, ready)
	select {
	case <-ready:
		return c, nil
	case <-c.closed:
		err = c.lost()
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(startTimeout):
		err = fmt.Errorf("%s is not ready after %s", node, startTimeout)
	}
	c.stop()
	return nil, err
}

// unpack writes the embedded modules to a new folder.
func unpack() (string, error) {
	dir, err := os.MkdirTemp("", "outbox-vtl-")
	if err != nil {
		return "", err
	}
	modules, err := fs.Sub(vtl, "vtl")
	if err == nil {
		err = os.CopyFS(dir, modules)
	}
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

// A message defines a template by its source, or renders one with variables.
type message struct {
	ID        uint64          `json:"id"`
	Template  mappingTemplate `json:"template"`
	Source    string          `json:"source"`
	Variables *variables      `json:"variables,omitempty"`
}

// do sends one message and waits for the response. It ends a process that does not respond in time, because whatever
// blocks the process blocks all other renders too.
func (c *rendererProcess) do(ctx context.Context, m message) (rendered, error) {
	answer := make(chan rendered, 1)
	c.mu.Lock()
	c.last++
	m.ID = c.last
	c.waiting[m.ID] = answer
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, m.ID)
		c.mu.Unlock()
	}()
	line, err := json.Marshal(m)
	if err != nil {
		return rendered{}, err
	}
	if err := c.send(append(line, '\n')); err != nil {
		return rendered{}, c.lost()
	}
	timeout := time.NewTimer(renderTimeout)
	defer timeout.Stop()
	select {
	case out := <-answer:
		if out.Malformed {
			return rendered{}, fmt.Errorf("%w: %s", errMalformedBody, out.Error)
		}
		if out.Error != "" {
			return rendered{}, fmt.Errorf("mapping template: %s", out.Error)
		}
		return out, nil
	case <-timeout.C:
		c.proc.Kill()
		return rendered{}, errRenderTimeout
	case <-ctx.Done():
		return rendered{}, ctx.Err()
	case <-c.closed:
		return rendered{}, c.lost()
	}
}

func (c *rendererProcess) send(line []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err := c.stdin.Write(line)
	return err
}

// read passes the process's responses to the callers that wait for them, until the output ends.
func (c *rendererProcess) read(stdout *os.File, ready chan<- struct{}) {
	defer close(c.closed)
	defer stdout.Close()
	lines := bufio.NewReader(stdout)
	if _, err := lines.ReadBytes('\n'); err != nil {
		return
	}
	close(ready)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var out struct {
			ID uint64 `json:"id"`
			rendered
		}
		if err := json.Unmarshal(line, &out); err != nil {
			return
		}
		c.mu.Lock()
		answer := c.waiting[out.ID]
		c.mu.Unlock()
		if answer != nil {
			answer <- out.rendered
		}
	}
}

func (c *rendererProcess) ended() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

// lost returns an error that describes why there was no response.
func (c *rendererProcess) lost() error {
	<-c.closed
	c.stop()
	return fmt.Errorf("%w (%w) %s", errRendererLost, c.proc.Err(), c.stderr)
}

func (c *rendererProcess) stop() {
	_ = c.stdin.Close()
	c.proc.Kill()
	<-c.closed
}

// An excerpt keeps the beginning of a process's output.
type excerpt struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (e *excerpt) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if room := 2048 - e.buf.Len(); room > 0 {
		e.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (e *excerpt) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.buf.String()
}
