// Package golambda builds Go main packages into AWS Lambda functions for the CDK.
//
// A function is built without Docker, once per process however many stacks use it, and reproducibly:
// the same source gives the same asset hash, in another folder too. The binary runs on the OS-only
// runtime provided.al2023.
//
//	golambda.Prebuild(golambda.ARM64, "lambdas/one", "lambdas/two") // builds both in the background
//	…
//	golambda.NewFunction(stack, jsii.String("One"), &golambda.FunctionProps{
//		Entry: jsii.String("lambdas/one"),
//	})
//
// The template says in the function's metadata how it was built (see MetadataKey), so that a tool can
// rebuild it for another machine.
package golambda
