package tables

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"go.uber.org/goleak"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

func TestMain(m *testing.M) {
	// The thread that starts child processes lives as long as the test process.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/outboxkit/transactional-outbox/internal/local/process.spawnForever"))
}

func start(t *testing.T, dir string) *Service {
	t.Helper()
	var log strings.Builder
	s, err := Start(t.Context(), Config{Cloud: cloud.New("eu-central-1"), Dir: dir, Log: &log})
	if err != nil {
		t.Fatalf("start: %v\n%s", err, log.String())
	}
	t.Cleanup(s.Close)
	return s
}

// orders returns a table as CDK writes it.
func orders(changes map[string]any) template.Resource {
	properties := map[string]any{
		"AttributeDefinitions":    []any{attr("pk"), attr("sk"), attr("customer")},
		"KeySchema":               []any{keyOf("pk", "HASH"), keyOf("sk", "RANGE")},
		"BillingMode":             "PAY_PER_REQUEST",
		"StreamSpecification":     map[string]any{"StreamViewType": "NEW_IMAGE"},
		"TimeToLiveSpecification": map[string]any{"AttributeName": "expiresAt", "Enabled": true},
		"GlobalSecondaryIndexes": []any{map[string]any{
			"IndexName": "byCustomer", "KeySchema": []any{keyOf("customer", "HASH")},
			"Projection": map[string]any{"ProjectionType": "ALL"},
		}},
		"SSESpecification":                 map[string]any{"SSEEnabled": true},
		"PointInTimeRecoverySpecification": map[string]any{"PointInTimeRecoveryEnabled": true},
		"DeletionProtectionEnabled":        true,
	}
	for name, value := range changes {
		properties[name] = value
	}
	return template.Resource{LogicalID: "Orders", Type: "AWS::DynamoDB::Table", PhysicalName: "Dev-Orders", Properties: properties}
}

func attr(name string) map[string]any {
	return map[string]any{"AttributeName": name, "AttributeType": "S"}
}

func keyOf(name, kind string) map[string]any {
	return map[string]any{"AttributeName": name, "KeyType": kind}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func TestTables(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	ctx := t.Context()

	t.Run("listens on loopback only", func(t *testing.T) {
		for _, address := range listening(t, s.PID()) {
			if !address.IsLoopback() {
				t.Errorf("DynamoDB Local listens on %s", address)
			}
		}
	})

	first, err := s.Provisions()["AWS::DynamoDB::Table"](ctx, orders(nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("attributes", func(t *testing.T) {
		if first.Ref != "Dev-Orders" || first.GetAtt["Arn"] != "arn:aws:dynamodb:eu-central-1:000000000000:table/Dev-Orders" {
			t.Errorf("got %+v", first)
		}
		if !strings.HasPrefix(first.GetAtt["StreamArn"], "arn:aws:dynamodb:eu-central-1:000000000000:table/Dev-Orders/stream/") {
			t.Errorf("StreamArn is %q", first.GetAtt["StreamArn"])
		}
	})
	t.Run("the table is there, with index and time to live", func(t *testing.T) {
		out, err := s.cloud.DynamoDB().DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &first.Ref})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(out.Table.GlobalSecondaryIndexes); n != 1 {
			t.Errorf("%d indexes, want 1", n)
		}
		ttl, err := s.cloud.DynamoDB().DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &first.Ref})
		if err != nil || aws.ToString(ttl.TimeToLiveDescription.AttributeName) != "expiresAt" {
			t.Errorf("time to live: %+v, %v", ttl.TimeToLiveDescription, err)
		}
	})
	t.Run("everything is in the stack's region, and items stay as they are", func(t *testing.T) { checkRegion(t, s, first) })
	t.Run("a table of another stack", func(t *testing.T) {
		_, err := s.cloud.DynamoDB().GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("elsewhere"), Key: map[string]types.AttributeValue{"pk": text("x")}})
		var missing *types.ResourceNotFoundException
		if !errors.As(err, &missing) || !strings.HasPrefix(missing.ErrorMessage(), "Requested resource not found: the local run has the tables of its stacks only. Run the stack with the table too (--stack), let an empty one stand in for it (--stand-in table=NAME:KEY=S), or create it") {
			t.Errorf("error is %v", err)
		}
		_, err = s.cloud.DynamoDB().TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{{
			Put: &types.Put{TableName: aws.String("elsewhere"), Item: map[string]types.AttributeValue{"pk": text("x")}},
		}}})
		if !errors.As(err, &missing) || !strings.Contains(missing.ErrorMessage(), "the local run has the tables of its stacks only") {
			t.Errorf("error of a transaction is %v", err)
		}
	})
	t.Run("a second time it is found", func(t *testing.T) {
		again, err := s.Provisions()["AWS::DynamoDB::Table"](ctx, orders(map[string]any{"TimeToLiveSpecification": map[string]any{"AttributeName": "expiresAt", "Enabled": false}}))
		if err != nil || again.GetAtt["StreamArn"] != first.GetAtt["StreamArn"] {
			t.Errorf("got %+v, %v", again, err)
		}
	})
	t.Run("another schema is refused", func(t *testing.T) {
		_, err := s.Provisions()["AWS::DynamoDB::Table"](ctx, orders(map[string]any{
			"StreamSpecification": map[string]any{"StreamViewType": "KEYS_ONLY"},
			"KeySchema":           []any{keyOf("pk", "HASH")},
		}))
		if !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), "stream must be (KEYS_ONLY) as in the template, got (NEW_IMAGE)") ||
			!strings.Contains(err.Error(), "key schema must be (pk HASH) as in the template, got (pk HASH, sk RANGE)") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("an unknown property is refused", func(t *testing.T) {
		for _, name := range []string{"KinesisStreamSpecification", "ImportSourceSpecification"} {
			_, err := s.Provisions()["AWS::DynamoDB::Table"](ctx, orders(map[string]any{name: map[string]any{}}))
			if err == nil || !strings.Contains(err.Error(), "property "+name+" is not supported by the local run") {
				t.Errorf("got %v", err)
			}
		}
	})
	t.Run("a global table", func(t *testing.T) {
		r := template.Resource{PhysicalName: "Dev-Outbox", Properties: map[string]any{
			"AttributeDefinitions": []any{attr("pk")},
			"KeySchema":            []any{keyOf("pk", "HASH")},
			"StreamSpecification":  map[string]any{"StreamViewType": "NEW_AND_OLD_IMAGES"},
			"BillingMode":          "PAY_PER_REQUEST",
			"Replicas":             []any{map[string]any{"Region": "eu-central-1", "DeletionProtectionEnabled": true}},
		}}
		got, err := s.Provisions()["AWS::DynamoDB::GlobalTable"](ctx, r)
		if err != nil || got.GetAtt["StreamArn"] == "" {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("a taken port is named", func(t *testing.T) {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		port := taken.Addr().(*net.TCPAddr).Port
		_, err = Start(ctx, Config{Cloud: cloud.New("eu-central-1"), Dir: t.TempDir(), Port: port})
		if err == nil || !strings.Contains(err.Error(), strconv.Itoa(port)) || !strings.Contains(err.Error(), "--port") {
			t.Errorf("got %v", err)
		}
	})
}

// TestKill checks that a kill -9 right after the response loses neither the items nor the stream, and that the service
// restarts DynamoDB Local.
func TestKill(t *testing.T) {
	s := start(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	provision := s.Provisions()["AWS::DynamoDB::Table"]
	table, err := provision(ctx, orders(nil))
	if err != nil {
		t.Fatal(err)
	}
	client := s.cloud.DynamoDB()
	for round := range 3 {
		id := text(fmt.Sprint("order-", round))
		_, err := client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
			{Put: &types.Put{TableName: &table.Ref, Item: map[string]types.AttributeValue{"pk": id, "sk": text("order")}}},
			{Put: &types.Put{TableName: &table.Ref, Item: map[string]types.AttributeValue{"pk": id, "sk": text("event")}}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		died := s.current().Done()
		if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-died
		for {
			found, err := client.Query(ctx, &dynamodb.QueryInput{
				TableName: &table.Ref, KeyConditionExpression: aws.String("pk = :id"),
				ExpressionAttributeValues: map[string]types.AttributeValue{":id": id},
			})
			if err != nil {
				continue // it is restarting
			}
			if found.Count != 2 {
				t.Errorf("round %d: %d items after the kill, want 2", round, found.Count)
			}
			break
		}
		if again, err := provision(ctx, orders(nil)); err != nil || again.GetAtt["StreamArn"] != table.GetAtt["StreamArn"] {
			t.Errorf("after the kill: %+v, %v", again, err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
}

// TestAnswersAfterCommit checks that the response to every write comes after its commit: SQLite's rollback journal no
// longer exists by then.
func TestAnswersAfterCommit(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	ctx := t.Context()
	table, err := s.Provisions()["AWS::DynamoDB::Table"](ctx, orders(nil))
	if err != nil {
		t.Fatal(err)
	}
	client := s.cloud.DynamoDB()
	item := func(i int) map[string]types.AttributeValue {
		return map[string]types.AttributeValue{"pk": text(fmt.Sprint(i)), "sk": text("event")}
	}
	writes := map[string]func(i int) error{
		"PutItem": func(i int) error {
			_, err := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table.Ref, Item: item(i)})
			return err
		},
		"UpdateItem": func(i int) error {
			_, err := client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
				TableName: &table.Ref, Key: item(i), UpdateExpression: aws.String("SET note = :n"),
				ExpressionAttributeValues: map[string]types.AttributeValue{":n": text("n")},
			})
			return err
		},
		"DeleteItem": func(i int) error {
			_, err := client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &table.Ref, Key: item(i)})
			return err
		},
		"TransactWriteItems": func(i int) error {
			_, err := client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
				{Put: &types.Put{TableName: &table.Ref, Item: item(i)}},
			}})
			return err
		},
		"BatchWriteItem": func(i int) error {
			_, err := client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{
				table.Ref: {{PutRequest: &types.PutRequest{Item: item(i)}}},
			}})
			return err
		},
	}
	for name, write := range writes {
		t.Run(name, func(t *testing.T) {
			open := 0
			for i := range 20 {
				if err := write(i); err != nil {
					t.Fatal(err)
				}
				if _, err := os.Stat(filepath.Join(dir, "shared-local-instance.db-journal")); err == nil {
					open++
				}
			}
			if open > 0 {
				t.Errorf("%d of 20 responses came before the commit", open)
			}
		})
	}
}

// listening returns the addresses of the process's listening TCP sockets, from /proc.
func listening(t *testing.T, pid int) []net.IP {
	t.Helper()
	if _, err := os.Stat("/proc/net/tcp"); err != nil {
		t.Skip("needs /proc")
	}
	inodes := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err == nil && strings.HasPrefix(link, "socket:[") {
			inodes[strings.TrimSuffix(strings.TrimPrefix(link, "socket:["), "]")] = true
		}
	}
	var found []net.IP
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		raw, _ := os.ReadFile(file)
		for _, line := range strings.Split(string(raw), "\n") {
			// sl local_address rem_address st … inode, state 0A is LISTEN.
			if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" && inodes[f[9]] {
				host, _, _ := strings.Cut(f[1], ":")
				found = append(found, hostIP(host))
			}
		}
	}
	if len(found) == 0 {
		t.Fatal("no listening socket found")
	}
	return found
}

// hostIP parses the kernel's form of an address: 32-bit words in host byte order.
func hostIP(hex string) net.IP {
	var ip net.IP
	for word := 0; word+8 <= len(hex); word += 8 {
		for b := 6; b >= 0; b -= 2 {
			n, _ := strconv.ParseUint(hex[word+b:word+b+2], 16, 8)
			ip = append(ip, byte(n))
		}
	}
	return ip
}
