// Package functions runs the Lambda functions of a template on this machine: each in processes of its
// own, against a real Lambda Runtime API, so that the deployed code runs unchanged.
//
//	host := functions.New(functions.Config{Cloud: c, Dir: dir, Sink: sink})
//	defer host.Close()
//	// … template.Deploy calls host.Provisions() …
//	err := host.Prepare(ctx)                        // compiled, or the compiler's own output
//	response, err := host.Invoke(ctx, arn, payload) // a *FunctionError when the function failed
//
// A function whose metadata says where its Go source is (see the golambda construct) is compiled for
// this machine. Any other runs from its asset, if this machine can run it: a bootstrap program or script
// for provided.*, Node.js and Python by a small runtime client.
//
// As in Lambda, an execution environment is one process that handles one invocation at a time. The one
// that was used last is used next; a new one is started when all are busy, until the limit is reached,
// and then invocations wait. An environment ends when it crashes, when an invocation runs into its
// timeout or is canceled, and after five idle minutes.
//
// Lambda's own lines of an invocation (START, END and REPORT, or platform.start and platform.report where the LogFormat
// is JSON) are hops of the stage "platform". Node.js and Python handlers log in the formats of Lambda's runtimes, and get
// the SDK that those bring along from their own code or from the app: from its node_modules, or from its virtual
// environment.
//
// Different from Lambda: an idle environment is not frozen, the function is given its MemorySize, which is not
// enforced, the only isolation is a bare process environment, and LD_LIBRARY_PATH leaves out the system's folders.
package functions
