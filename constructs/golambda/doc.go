// Package golambda builds Go main packages into AWS Lambda functions for the CDK.
//
// A function is built without Docker, once per process however many stacks use it, and reproducibly: the same
// source gives the same asset hash, in another folder too. The program runs on the OS-only runtime
// provided.al2023.
//
//	golambda.Prebuild(golambda.ARM64, "lambdas/one", "lambdas/two") // builds both in the background
//	…
//	golambda.NewFunction(stack, jsii.String("One"), &golambda.FunctionProps{
//		Entry: jsii.String("lambdas/one"),
//	})
//
// # What a program depends on
//
// The source, the version of Go, [BuildOptions], and three variables of the environment or of "go env -w":
// GOFLAGS, GOEXPERIMENT and GOFIPS140. -tags and -ldflags in GOFLAGS are added to those of the options. With the
// same values of these, the same source has the same hash. Other settings are fixed:
//
//   - GOOS=linux, and GOARCH by the function's Architecture
//   - CGO_ENABLED=0, since the runtime has no C library of yours
//   - GOARM64=v8.0 and GOAMD64=v1, which every machine of Lambda runs
//   - -trimpath and -buildvcs=false
//   - -tags=lambda.norpc, and -ldflags="-s -w"
//   - the mode of the program, 0755, which is part of the hash
//
// The go command runs in the folder of the nearest go.mod: a function may have a module of its own, and go.work,
// vendor folders and replaced modules work as they do there. It does not see the rest of the environment, AWS
// credentials and tokens included. For private modules it does see what configures git, ssh and proxies (GIT_*,
// SSH_AUTH_SOCK, NETRC, GOPROXY, GOAUTH and so on); a module that needs another token is fetched before, by
// "go mod download".
//
// A program may also come from a module that the app depends on, for example a library that ships functions: see Module
// of [FunctionProps]. It is built by that module's own go.mod and go.sum, and -mod and -modfile in GOFLAGS do not count.
//
// Programs stay in the user's cache folder, where the go command finds those that are up to date.
//
// The template has in the function's metadata how it was built (see [MetadataKey]), so that a tool can rebuild it
// for another machine.
package golambda
