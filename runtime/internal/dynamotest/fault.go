package dynamotest

import (
	"context"
	"errors"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Fault is what goes wrong with one call.
type Fault string

// The faults that a client must expect. After a crash, before or after the call had its effect, the
// connection does nothing any more: the process that held it is gone.
const (
	None          Fault = "none"
	Conflict      Fault = "conflict"
	Throttled     Fault = "throttled"
	ErrorBefore   Fault = "500 before commit"
	ErrorAfter    Fault = "500 after commit"
	TimeoutBefore Fault = "timeout before commit"
	TimeoutAfter  Fault = "timeout after commit"
	CrashBefore   Fault = "crash before commit"
	CrashAfter    Fault = "crash after commit"
)

// Faults lists all of them, None first.
var Faults = []Fault{None, Conflict, Throttled, ErrorBefore, ErrorAfter, TimeoutBefore, TimeoutAfter, CrashBefore, CrashAfter}

// ErrCrashed is what calls on a connection return after its process has crashed.
var ErrCrashed = errors.New("the process has crashed")

// Conn is one process's connection to the database.
type Conn struct {
	db      *DB
	fault   func() Fault
	onCrash func()
	mu      sync.Mutex
	crashed bool
	fired   []Fault
}

// Connect opens a connection. It asks fault before each TransactWriteItems, and calls onCrash when its
// process crashes, before the call returns: with a context's cancel function, what was running ends.
func (db *DB) Connect(fault func() Fault, onCrash func()) *Conn {
	return &Conn{db: db, fault: fault, onCrash: onCrash}
}

// Crashed reports whether the connection's process is gone.
func (c *Conn) Crashed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.crashed
}

// Fired lists the faults of the calls so far, None included.
func (c *Conn) Fired() []Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Fault(nil), c.fired...)
}

// GetItem implements the call of that name, without faults of its own.
func (c *Conn) GetItem(ctx context.Context, in *dynamodb.GetItemInput, options ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	if c.Crashed() {
		return nil, ErrCrashed
	}
	return c.db.GetItem(ctx, in, options...)
}

// Query implements the call of that name, without faults of its own.
func (c *Conn) Query(ctx context.Context, in *dynamodb.QueryInput, options ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	if c.Crashed() {
		return nil, ErrCrashed
	}
	return c.db.Query(ctx, in, options...)
}

// TransactWriteItems implements the call of that name.
func (c *Conn) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, options ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	fault, err := c.next()
	if err != nil {
		return nil, err
	}
	switch fault {
	case Conflict:
		reasons := make([]types.CancellationReason, len(in.TransactItems))
		for i := range reasons {
			reasons[i].Code = aws.String("None")
		}
		reasons[len(reasons)-1].Code = aws.String("TransactionConflict")
		return nil, Canceled(reasons...)
	case Throttled:
		return nil, &types.ProvisionedThroughputExceededException{Message: aws.String("slow down")}
	case ErrorBefore:
		return nil, &types.InternalServerError{Message: aws.String("before commit")}
	case TimeoutBefore:
		return nil, context.DeadlineExceeded
	case CrashBefore:
		return nil, ErrCrashed
	default: // the others let the call through
	}
	out, err := c.db.TransactWriteItems(ctx, in, options...)
	switch fault {
	case ErrorAfter:
		return nil, &types.InternalServerError{Message: aws.String("after commit")}
	case TimeoutAfter:
		return nil, context.DeadlineExceeded
	case CrashAfter:
		return nil, ErrCrashed
	default:
		return out, err
	}
}

// next draws the fault of a call, and crashes the connection by it.
func (c *Conn) next() (Fault, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.crashed {
		return None, ErrCrashed
	}
	fault := c.fault()
	c.fired = append(c.fired, fault)
	if fault == CrashBefore || fault == CrashAfter {
		c.crashed = true
		c.onCrash()
	}
	return fault, nil
}
