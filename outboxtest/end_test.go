package outboxtest

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// ends are the ways in which a test binary may end.
var ends = map[string]func(){
	"exit":  func() { os.Exit(0) },
	"panic": func() { panic("a test panics, or runs into its timeout") },
	"kill": func() {
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Kill()
		}
		panic(err) // it does not come to this
	},
}

// A run ends with the test binary, and its data with it.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	for how := range ends {
		t.Run(how, func(t *testing.T) {
			binary := exec.Command(os.Args[0])
			binary.Env = append(os.Environ(), role+"="+how)
			out, err := binary.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := binary.Start(); err != nil {
				t.Fatal(err)
			}
			line, _ := bufio.NewReader(out).ReadString('\n')
			data, queues, found := strings.Cut(strings.TrimSpace(line), " ")
			if !found {
				t.Fatalf("it says %q", line)
			}
			_ = binary.Wait()
			// The kernel tells nobody when the last of the others has ended.
			awaitGone(t, "its data in "+data, func() bool { _, err := os.Stat(data); return os.IsNotExist(err) })
			awaitGone(t, "its queues at "+queues, func() bool {
				connection, err := net.Dial("tcp", queues)
				if err == nil {
					connection.Close()
				}
				return err != nil
			})
		})
	}
}

func awaitGone(t *testing.T, what string, gone func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !gone(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s are still there", what)
		}
	}
}
