package tables

import (
	"net"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// TestPortThatAnotherProgramTook checks that no request reaches another program which listens on the old port of
// DynamoDB Local after its end.
func TestPortThatAnotherProgramTook(t *testing.T) {
	s := start(t, t.TempDir())
	old, err := s.serverAddress()
	if err != nil {
		t.Fatal(err)
	}
	s.current().Kill()
	<-s.current().Done()
	stranger, err := net.Listen("tcp", old)
	if err != nil {
		t.Skipf("a third program was faster: %v", err)
	}
	called := make(chan struct{})
	go func() {
		if conn, err := stranger.Accept(); err == nil {
			conn.Close()
			close(called)
		}
	}()
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.cloud.DynamoDB().ListTables(t.Context(), &dynamodb.ListTablesInput{}); err != nil {
		t.Error(err)
	}
	stranger.Close()
	select {
	case <-called:
		t.Error("a request reached another program on the old port of DynamoDB Local")
	default:
	}
}
