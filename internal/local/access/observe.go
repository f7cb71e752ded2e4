package access

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// Observe returns the provisions of all services with the Authority beside them: it notes the roles, the keys of tables
// and the ARNs of what they make, so that the services need not know of it.
func (a *Authority) Observe(provisions map[string]template.Provision) map[string]template.Provision {
	observed := make(map[string]template.Provision, len(provisions))
	for kind, provision := range provisions {
		observed[kind] = func(ctx context.Context, r template.Resource) (template.Attributes, error) {
			made, err := provision(ctx, r)
			if err != nil {
				return made, err
			}
			a.noteNames(r, made)
			return made, a.note(r, made)
		}
	}
	return observed
}

func (a *Authority) note(r template.Resource, made template.Attributes) error {
	switch r.Type {
	case "AWS::Lambda::Function":
		return a.noteFunction(r, made.GetAtt["Arn"], made.Ref)
	case "AWS::Lambda::EventInvokeConfig":
		return a.noteDestinations(r)
	case "AWS::Lambda::EventSourceMapping":
		return a.noteMapping(r)
	case "AWS::Pipes::Pipe":
		return a.notePipe(r, made.GetAtt["Arn"])
	case "AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable":
		return a.noteTable(r, made.Ref)
	case "AWS::Events::Rule":
		return a.noteRule(r, made.GetAtt["Arn"])
	case "AWS::Scheduler::Schedule":
		return a.noteSchedule(r, made.GetAtt["Arn"])
	case "AWS::ApiGateway::Method":
		return a.apiMethod(r)
	case "AWS::ApiGateway::RestApi":
		return a.apiDefinition(r)
	}
	return nil
}

// noteFunction keeps the function's role and what the role needs. Without permission for logs and traces a function
// works on AWS too, and loses them.
func (a *Authority) noteFunction(r template.Resource, arn, name string) error {
	var p struct {
		Role             string
		LoggingConfig    struct{ LogGroup string }
		DeadLetterConfig struct{ TargetArn string }
		TracingConfig    struct{ Mode string }
	}
	if err := read(r, &p); err != nil || p.Role == "" {
		return err
	}
	group := p.LoggingConfig.LogGroup
	if group == "" {
		group = "/aws/lambda/" + name
	}
	optional := []needed{{a.cloud.ARN("logs", "log-group:"+group+":log-stream:stream"), []string{"logs:CreateLogStream", "logs:PutLogEvents"}}}
	if p.TracingConfig.Mode == "Active" {
		optional = append(optional, needed{"*", []string{"xray:PutTraceSegments", "xray:PutTelemetryRecords"}})
	}
	a.mu.Lock()
	a.functions[arn] = p.Role
	a.mu.Unlock()
	a.require(need{
		who: r.LogicalID, role: p.Role, service: "lambda.amazonaws.com", source: arn, session: name,
		actions: sendingTo(p.DeadLetterConfig.TargetArn), optional: optional, loses: "its logs or traces",
	})
	return nil
}

// noteDestinations notes that a function sends what became of its asynchronous invocations.
// Source: Lambda developer guide, invocation-async-retain-records.
func (a *Authority) noteDestinations(r template.Resource) error {
	var p struct {
		FunctionName      string
		DestinationConfig struct{ OnSuccess, OnFailure struct{ Destination string } }
	}
	if err := read(r, &p); err != nil {
		return err
	}
	function := a.cloud.FunctionARN(p.FunctionName)
	if role := a.FunctionRole(function); role != "" {
		d := p.DestinationConfig
		a.require(need{who: r.LogicalID, role: role, session: function[strings.LastIndex(function, ":")+1:], actions: sendingTo(d.OnSuccess.Destination, d.OnFailure.Destination)})
	}
	return nil
}

// sendingTo returns what is needed to send to queues. Those without an ARN are none.
func sendingTo(queues ...string) []needed {
	var all []needed
	for _, queue := range queues {
		if queue != "" {
			all = append(all, needed{queue, []string{"sqs:SendMessage"}})
		}
	}
	return all
}

// noteMapping notes what Lambda requires of a function's role when an event source mapping is made.
// Source: Lambda developer guide, services-sqs-configure and services-dynamodb-eventsourcemapping.
func (a *Authority) noteMapping(r template.Resource) error {
	var p struct {
		EventSourceArn, FunctionName string
		DestinationConfig            struct{ OnFailure struct{ Destination string } }
	}
	if err := read(r, &p); err != nil {
		return err
	}
	function, _ := cloud.CutQualifier(a.cloud.FunctionARN(p.FunctionName))
	role := a.FunctionRole(function)
	if role == "" {
		return nil
	}
	actions := toReceive(p.EventSourceArn)
	if strings.Contains(p.EventSourceArn, "/stream/") {
		actions = ofStream(p.EventSourceArn)
		actions = append(actions, sendingTo(p.DestinationConfig.OnFailure.Destination)...)
	}
	a.require(need{who: r.LogicalID, role: role, session: function[strings.LastIndex(function, ":")+1:], actions: actions})
	return nil
}

// toReceive returns what is needed to receive from a queue.
func toReceive(arn string) []needed {
	return []needed{{arn, []string{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}}}
}

// ofStream returns what is needed to read a stream.
func ofStream(arn string) []needed {
	return []needed{
		{arn, []string{"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"}},
		{"*", []string{"dynamodb:ListStreams"}},
	}
}

// notePipe notes what a pipe requires of its role.
// Source: EventBridge user guide, eb-pipes-permissions.
func (a *Authority) notePipe(r template.Resource, arn string) error {
	var p struct {
		RoleArn, Source, Enrichment, Target string
		SourceParameters                    struct {
			DynamoDBStreamParameters struct{ DeadLetterConfig struct{ Arn string } }
		}
		LogConfiguration struct {
			CloudwatchLogsLogDestination struct{ LogGroupArn string }
		}
	}
	if err := read(r, &p); err != nil || p.RoleArn == "" {
		return err
	}
	n := need{who: r.LogicalID, role: p.RoleArn, service: "pipes.amazonaws.com", source: arn, session: nameOf(arn)}
	n.actions = toReceive(p.Source)
	if strings.Contains(p.Source, "/stream/") {
		n.actions = ofStream(p.Source)
	}
	for _, on := range []string{p.Enrichment, p.Target} {
		if action := useOf(on); action != "" {
			n.actions = append(n.actions, needed{on, []string{action}})
		}
	}
	n.actions = append(n.actions, sendingTo(p.SourceParameters.DynamoDBStreamParameters.DeadLetterConfig.Arn)...)
	if group := p.LogConfiguration.CloudwatchLogsLogDestination.LogGroupArn; group != "" {
		n.actions = append(n.actions, needed{group, []string{"logs:CreateLogStream", "logs:PutLogEvents"}})
	}
	a.require(n)
	return nil
}

// noteRule notes what a rule sends to, and as which role. AWS makes a rule whose targets do not let it send, and its
// events are lost. A role must be one that EventBridge can assume.
func (a *Authority) noteRule(r template.Resource, arn string) error {
	var p struct {
		Targets []struct {
			Arn, RoleArn     string
			DeadLetterConfig struct{ Arn string }
		}
	}
	if err := read(r, &p); err != nil {
		return err
	}
	const service = "events.amazonaws.com"
	for _, target := range p.Targets {
		byPolicy := []string{target.DeadLetterConfig.Arn}
		if target.RoleArn != "" {
			a.require(needToSend(r.LogicalID, target.RoleArn, service, arn, target.Arn))
		} else {
			byPolicy = append(byPolicy, target.Arn)
		}
		for _, on := range byPolicy {
			if action := useOf(on); action != "" {
				a.require(need{who: r.LogicalID, sender: service, source: arn, optional: []needed{{on, []string{action}}}})
			}
		}
	}
	return nil
}

// needToSend returns what a service needs to send to targets as a role, on behalf of the resource source.
func needToSend(who, role, service, source string, targets ...string) need {
	n := need{who: who, role: role, service: service, source: source, session: nameOf(source), loses: "events"}
	for _, on := range targets {
		if action := useOf(on); action != "" {
			n.optional = append(n.optional, needed{on, []string{action}})
		}
	}
	return n
}

// noteSchedule notes what a schedule sends to as its role, which EventBridge Scheduler must be able to assume: on behalf of
// the schedule's group.
// Source: EventBridge Scheduler user guide, setting-up, "Set up the execution role", and cross-service-confused-deputy-prevention.
func (a *Authority) noteSchedule(r template.Resource, arn string) error {
	var p struct {
		Target struct {
			Arn, RoleArn     string
			DeadLetterConfig struct{ Arn string }
		}
	}
	if err := read(r, &p); err != nil {
		return err
	}
	group := strings.Replace(arn[:strings.LastIndex(arn, "/")], ":schedule/", ":schedule-group/", 1)
	a.require(needToSend(r.LogicalID, p.Target.RoleArn, "scheduler.amazonaws.com", group, p.Target.Arn, p.Target.DeadLetterConfig.Arn))
	return nil
}

// read decodes the properties that it names and ignores the others, which the service has checked.
func read(r template.Resource, into any) error {
	raw, err := json.Marshal(r.Properties)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
