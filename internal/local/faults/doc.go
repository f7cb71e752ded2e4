// Package faults breaks the local run on purpose, at the boundary of the AWS APIs and never inside a
// function: throttled writes, answers that are lost after the work was done, batches that come twice,
// processes that are killed. Every fault is one that AWS documents or that a client must expect, so
// what the stack promises must hold under any mixture of them.
//
// A Plan says which faults to inject: how often (rates) and exactly where (script). With the flag
// --faults FILE the local run reads one:
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
// A Point is a place where a fault may happen; Points lists them all with what they do. Each time the
// flow passes a point, the point is asked for a key: what the fault would happen to. Keys are the same in
// every run of the same workload:
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
// Whether a fault fires is decided by a hash of the seed, the point, the key and how many times the point
// was asked for that key, and by nothing else. So the same plan injects the same faults into the same
// workload, whatever the order in which things happen; only where a point is asked another number of
// times, because a retry fell into another moment, do the later decisions for that key differ. The counts
// start anew with each process.
//
// A step of the script fires when its point is asked for the nth time (default 1) for its key, which may
// be a whole key, an <event> or an event's id, or empty for any.
//
// # Heal
//
// SIGUSR1 ends all faults for the rest of the run, as "until" does when its time has come: shards, targets,
// messages and connections that were held back go on at once, functions that were left without an answer
// run into their timeout. The run says so with a notice that begins with "healed", and how often each
// point has fired. It says the latter at its end too.
//
// With --json each fault is a line of kind "fault" (console.Fault), and the counts are one of kind "faults".
package faults
