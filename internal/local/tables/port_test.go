package tables

import (
	"net"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// While DynamoDB Local is away, its port may become another program's. Nothing must ever be said to that.
func TestPortThatAnotherProgramTook(t *testing.T) {
	s := start(t, t.TempDir())
	old, err := s.where()
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
		t.Error("another program was called on DynamoDB Local's old port")
	default:
	}
}
