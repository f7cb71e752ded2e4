package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
)

// An Environment holds what differs between two deployments of the application.
type Environment struct {
	// Name is part of the stack's name and the API's stage: "dev" gives Orders-dev.
	Name string
	// Production reports that people depend on the environment: synth warns when its alarms notify nobody.
	Production bool
	// Pin is where the environment is deployed. It comes from the app's context (see Choose), not from code.
	Pin

	// RemovalPolicy is what happens to tables, archive and log groups when they leave the stack.
	RemovalPolicy awscdk.RemovalPolicy
	// DeletionProtection keeps the tables from being deleted, by hand or with the stack.
	DeletionProtection bool
	// PointInTimeRecovery keeps continuous backups of the tables for 35 days.
	PointInTimeRecovery bool
	// LogRetention is how long log lines are kept.
	LogRetention awslogs.RetentionDays
	// EventRetentionDays is how long an event stays in the outbox table after the API or a function wrote it, 2 to 3650.
	// While an OrderCreated is there, another order under the same Idempotency-Key is recognized and refused.
	EventRetentionDays int
	// ArchiveDays is how long the bus's archive keeps events for a replay; 0 makes no archive.
	ArchiveDays int
	// Dashboard adds the outbox's CloudWatch dashboard, for which AWS charges from the fourth in an account on.
	Dashboard bool
	// ConsumerConcurrency is how many batches of one consumer's queue are worked on at once, 2 to 1000.
	ConsumerConcurrency int
	// Throttling of the whole API.
	Throttling Throttling
	// Authorization of every method of the API.
	Authorization Authorization
	// APILoggingRole makes API Gateway's log role of the whole account and region, which access logs need, and sets it.
	// Switch it off where the account already has one: a second one takes its place. It stays when the stack is
	// destroyed, because other APIs may log through it by then.
	// Source: API Gateway developer guide, set-up-logging.
	APILoggingRole bool
}

// Pin is where an environment is deployed and who is notified of its alarms. Its fields come from the context.
type Pin struct {
	// Account and Region. Default: those of the CDK CLI's credentials.
	Account string `json:"account"`
	Region  string `json:"region"`
	// AlarmEmail gets a message for every alarm, once its owner has confirmed the subscription. Default: nobody.
	AlarmEmail string `json:"alarmEmail"`
	// AlarmTopicARN is an existing topic that gets them instead. Not together with AlarmEmail.
	AlarmTopicARN string `json:"alarmTopicArn"`
}

// A Throttling is a token bucket. A request that finds it empty is answered with 429.
// Source: API Gateway developer guide, api-gateway-request-throttling.
type Throttling struct {
	Rate  float64 // requests a second, over time
	Burst float64 // requests at once
}

// Authorization is who may call the API.
type Authorization string

const (
	// IAM lets in requests that are signed (SigV4) by a principal with execute-api:Invoke.
	IAM Authorization = "IAM"
	// None lets in everybody who knows the URL.
	None Authorization = "NONE"
)

// Dev returns an environment for trying things out: it costs little and leaves nothing behind, except for the account's
// log role (see APILoggingRole).
func Dev() Environment {
	return Environment{
		Name:                "dev",
		RemovalPolicy:       awscdk.RemovalPolicy_DESTROY,
		LogRetention:        awslogs.RetentionDays_ONE_WEEK,
		EventRetentionDays:  7,
		ArchiveDays:         7,
		ConsumerConcurrency: 2,
		Throttling:          Throttling{Rate: 50, Burst: 100},
		Authorization:       IAM,
		APILoggingRole:      true,
	}
}

// Staging returns Prod in small: what could go wrong there can go wrong here.
func Staging() Environment {
	env := Prod()
	env.Name = "staging"
	env.Production = false
	env.RemovalPolicy = awscdk.RemovalPolicy_DESTROY
	env.DeletionProtection = false
	env.LogRetention = awslogs.RetentionDays_ONE_MONTH
	env.ArchiveDays = 14
	env.ConsumerConcurrency = 5
	env.Throttling = Throttling{Rate: 200, Burst: 400}
	return env
}

// Prod returns an environment that keeps what it has: its tables, archive and log groups outlive the stack.
func Prod() Environment {
	return Environment{
		Name:                "prod",
		Production:          true,
		RemovalPolicy:       awscdk.RemovalPolicy_RETAIN,
		DeletionProtection:  true,
		PointInTimeRecovery: true,
		LogRetention:        awslogs.RetentionDays_THREE_MONTHS,
		EventRetentionDays:  30,
		ArchiveDays:         90,
		Dashboard:           true,
		ConsumerConcurrency: 50,
		Throttling:          Throttling{Rate: 1000, Burst: 2000},
		Authorization:       IAM,
		APILoggingRole:      true,
	}
}
