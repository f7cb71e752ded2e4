package flow

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// kinds are the types through which events may move.
var kinds = map[string]Kind{
	"AWS::ApiGateway::RestApi":   API,
	"AWS::ApiGatewayV2::Api":     API,
	"AWS::DynamoDB::Table":       Table,
	"AWS::DynamoDB::GlobalTable": Table,
	"AWS::Pipes::Pipe":           Pipe,
	"AWS::Events::EventBus":      Bus,
	"AWS::Events::Rule":          Rule,
	"AWS::SNS::Topic":            Topic,
	"AWS::SQS::Queue":            Queue,
	"AWS::Lambda::Function":      Function,
	"AWS::Lambda::Url":           URL,
	"AWS::Scheduler::Schedule":   Schedule,
}

// Read returns how events move through some stacks. What one stack exports and another imports connects them. exists reports
// whether they have the resource with the id of a node, whose condition may leave it out; nil: they have all.
func Read(exists func(id string) bool, templates ...Template) (*Graph, error) {
	r := reader{nodes: map[string]*Node{}}
	var err error
	if r.document, err = join(templates); err != nil {
		return nil, err
	}
	if len(r.Resources) == 0 {
		return nil, errors.New("read the flow from the template: it must have Resources, got none")
	}
	if exists != nil {
		maps.DeleteFunc(r.Resources, func(id string, _ resource) bool { return !exists(id) })
	}
	r.names()
	for _, id := range slices.Sorted(maps.Keys(r.Resources)) {
		r.connect(id, r.Resources[id])
	}
	r.sends()
	r.callbacks()
	r.separate()
	r.background()
	r.graph.sort()
	return &r.graph, nil
}

// A reader reads a template into a graph.
type reader struct {
	document
	graph Graph
	nodes map[string]*Node // all that may become nodes, by id
}

// connect adds the edges that one resource describes.
func (r *reader) connect(id string, res resource) {
	p := res.Properties
	switch res.Type {
	case "AWS::ApiGateway::Method":
		for _, to := range r.named(p["Integration"]) {
			r.event(r.only(p["RestApiId"], API), to, id)
		}
	case "AWS::Pipes::Pipe":
		r.event(r.end(p["Source"]), id)
		r.event(id, r.end(p["Target"]))
		if enrichment := p["Enrichment"]; enrichment != nil {
			r.enriched(id, r.end(enrichment))
		}
		for _, source := range objects(p["SourceParameters"]) {
			r.deadLetters(id, at(source, "DeadLetterConfig", "Arn"))
		}
	case "AWS::Events::Rule":
		r.rule(id, p)
	case "AWS::SNS::Subscription":
		if protocol, _ := p["Protocol"].(string); protocol == "sqs" || protocol == "lambda" {
			topic := r.end(p["TopicArn"])
			r.event(topic, r.end(p["Endpoint"]), id)
			r.deadLetters(topic, at(p["RedrivePolicy"], "deadLetterTargetArn"), id)
		}
	case "AWS::SQS::Queue":
		r.deadLetters(id, at(p["RedrivePolicy"], "deadLetterTargetArn"))
	case "AWS::Lambda::EventSourceMapping":
		function := r.only(p["FunctionName"], Function)
		r.event(r.end(p["EventSourceArn"]), function, id)
		r.deadLetters(function, at(p["DestinationConfig"], "OnFailure", "Destination"))
	case "AWS::Lambda::Function":
		r.deadLetters(id, at(p["DeadLetterConfig"], "TargetArn"))
	case "AWS::Lambda::EventInvokeConfig":
		function := r.only(p["FunctionName"], Function)
		if to := at(p["DestinationConfig"], "OnSuccess", "Destination"); to != nil {
			r.event(function, r.end(to))
		}
		r.deadLetters(function, at(p["DestinationConfig"], "OnFailure", "Destination"))
	case "AWS::Lambda::Url":
		r.event(id, r.only(p["TargetFunctionArn"], Function))
	case "AWS::Scheduler::Schedule":
		r.nodes[id].Detail, _ = p["ScheduleExpression"].(string)
		r.event(id, r.end(at(p["Target"], "Arn")))
		r.deadLetters(id, at(p["Target"], "DeadLetterConfig", "Arn"))
	}
}

// rule adds what a rule selects and where that goes.
func (r *reader) rule(id string, p map[string]any) {
	n := r.nodes[id]
	if schedule, ok := p["ScheduleExpression"].(string); ok {
		n.Kind, n.Detail = Schedule, schedule
	} else {
		n.Detail = patternText(p["EventPattern"])
		bus := p["EventBusName"]
		if bus == nil {
			bus = "default"
		}
		r.event(r.end(bus), id)
	}
	for _, target := range list(p["Targets"]) {
		r.event(id, r.end(at(target, "Arn")))
		r.deadLetters(id, at(target, "DeadLetterConfig", "Arn"))
	}
}

// event adds an edge between two nodes.
func (r *reader) event(from, to string, via ...string) {
	if r.nodes[from] != nil && r.nodes[to] != nil {
		r.graph.add(Edge{From: from, To: to, Via: via})
	}
}

// enriched adds the edge between a pipe and what changes its events.
func (r *reader) enriched(pipe, by string) {
	if r.nodes[by] != nil {
		r.graph.add(Edge{From: pipe, To: by, Enriches: true})
	}
}

// deadLetters adds the edge to what a value names, if it names something: a queue for what could not be handled, or another
// destination of that.
func (r *reader) deadLetters(from string, to any, via ...string) {
	if to == nil {
		return
	}
	id := r.end(to)
	if n := r.nodes[id]; n != nil && r.nodes[from] != nil {
		if n.Kind == Queue || n.Kind == Outside {
			n.Kind = DeadLetters
		}
		r.graph.add(Edge{From: from, To: id, DeadLetters: true, Via: via})
	}
}

// named returns the ids of the nodes that a value names. An alias or a version stands for its function.
func (r *reader) named(value any) []string {
	var ids []string
	for _, id := range r.references(value) {
		switch res := r.Resources[id]; {
		case r.nodes[id] != nil:
			ids = append(ids, id)
		case res.Type == "AWS::Lambda::Alias" || res.Type == "AWS::Lambda::Version":
			ids = append(ids, r.named(res.Properties["FunctionName"])...)
		}
	}
	return ids
}

// end returns the id of the node that a value names. What the template does not have becomes a node outside.
func (r *reader) end(value any) string {
	if ids := r.named(value); len(ids) > 0 {
		return ids[0]
	}
	name := outsideName(value)
	if name != "" && r.nodes[name] == nil {
		r.nodes[name] = &Node{ID: name, Kind: Outside, Path: name, Name: name}
	}
	return name
}

// only returns the id of the resource of a kind that a value names, or "".
func (r *reader) only(value any, kind Kind) string {
	for _, id := range r.named(value) {
		if r.nodes[id].Kind == kind {
			return id
		}
	}
	return ""
}

// objects returns the members of an object that are objects themselves.
func objects(value any) []map[string]any {
	object, _ := value.(map[string]any)
	var all []map[string]any
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if member, ok := object[name].(map[string]any); ok {
			all = append(all, member)
		}
	}
	return all
}

// patternText returns what a pattern selects by: the types of the events where it names some, else all of it.
func patternText(pattern any) string {
	if names := texts(at(pattern, "detail-type")); len(names) > 0 {
		return strings.Join(names, ", ")
	}
	detail, _ := at(pattern, "detail").(map[string]any)
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(detail)) {
		if values := texts(detail[name]); len(values) > 0 {
			parts = append(parts, name+" "+strings.Join(values, ", "))
		} else {
			parts = append(parts, name+" "+compact(detail[name]))
		}
	}
	if len(parts) == 0 {
		for _, source := range texts(at(pattern, "source")) {
			parts = append(parts, "source "+source)
		}
	}
	if len(parts) == 0 {
		return compact(pattern)
	}
	return strings.Join(parts, "; ")
}

// separate takes out of the graph what no event moves through.
func (r *reader) separate() {
	streamed := map[string]bool{}
	for _, e := range r.graph.Edges {
		streamed[e.From] = true
	}
	r.graph.Edges = slices.DeleteFunc(r.graph.Edges, func(e Edge) bool {
		to := r.nodes[e.To]
		return to == nil || r.nodes[e.From] == nil || to.Kind == Table && !streamed[e.To]
	})
	connected := map[string]bool{}
	for _, e := range r.graph.Edges {
		connected[e.From], connected[e.To] = true, true
	}
	for id, n := range r.nodes {
		switch {
		case connected[id]:
			r.graph.Nodes = append(r.graph.Nodes, *n)
		case n.Kind == Table || n.Kind == Queue || n.Kind == Topic:
			r.graph.Others = append(r.graph.Others, *n)
		}
	}
}
