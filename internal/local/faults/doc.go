// Package faults injects faults into the local run, at the boundary of the AWS APIs and never inside a function:
// throttled writes, responses that are lost after the work was done, batches that are delivered twice, processes
// that are killed. Every fault is one that AWS documents or that a client must expect, so the guarantee of the
// stack must hold under any mixture of them.
//
// A [Plan] defines which faults to inject: how often (rates) and exactly where (script). With the flag
// --faults FILE the local run reads a plan:
//
//	{
//	  "seed": 7,
//	  "rates": {"dynamodb.throttle": 0.02, "queue.duplicate": 0.05},
//	  "script": [{"point": "pipe.restart", "key": "order-17-1", "nth": 1}],
//	  "until": "2026-11-23T18:00:00Z"
//	}
//
// # Points and keys
//
// A [Point] is a place where a fault may happen; [Points] lists all of them, and [Point.Meaning] says what the
// faults do. Each time the flow passes a point, the point is checked for a key, which names what the fault would
// happen to. Keys are the same in every run of the same workload:
//
//	dynamodb.*           <action> <key attributes of the items>
//	stream.*, pipe.*     <event> @ <logical id of the pipe>
//	bus.*                <event>, and for a target: <event> @ <name of the queue>
//	queue.*              <event> @ <name of the queue>
//	function.*           <event> @ <logical id of the function>, or <method> <path> @ <the same>;
//	                     function.init-failure and function.slow-start: <logical id of the function>
//
// An <event> is the event's id, or, where that is a UUIDv7 and so another one in every run,
// <aggregateType>#<aggregateId>@<version>.
//
// # Replay
//
// Whether a fault fires depends only on a hash of the seed, the point, the key and how many times the point was
// checked for that key. So the same plan injects the same faults into the same workload, in whatever order things
// happen. Only where a point is checked another number of times, because a retry happened at another moment, do
// the later decisions for that key differ. Each process starts to count from zero.
//
// A step of the script fires when its point is checked for the nth time (default 1) for its key, which is a whole
// key, an <event> or an event's id, or empty for any key.
//
// # Faults that are set while a run works
//
// [Injector.SetRate] and [Injector.Once] set faults at any time, with a plan or without one; [Injector.Settings] lists them. An
// event for which Once has set a fault is handed to its function alone, so that the fault hits no other one of its batch.
//
// # Heal
//
// To heal a run is to end all faults of it. What is set after that is all that happens then. SIGUSR1 heals a run that has a
// plan, and "until" when its time has come:
// shards, targets, messages and connections that were held continue at once, and functions that got no response
// run into their timeout. The run then prints a notice that begins with "healed", and how often each point has
// fired. It prints the latter at its end too.
//
// With --json each fault is a line of kind "fault" (console.Fault), and the counts are one of kind "faults".
package faults
