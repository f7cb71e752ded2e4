package outbox

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"
)

const (
	oneMinute   = 60
	fiveMinutes = 300
)

// widgets returns all rows, in the order in which events flow.
func (d *dashboard) widgets() []any {
	g := &grid{}
	g.header(fmt.Sprintf("# %s\nThe way of an event, from top to bottom: written, through the pipe, on the bus, to %s, to its effect. "+
		"What waits for a person is at the bottom. On a command line, `outbox status` says the same in words.", *d.outbox.place.deployed(), counted(len(d.consumers))))
	g.row("## 1. Writes\nTransactions put business items and events together into the outbox table. Each event takes two write units for each KB. Heartbeats count, too.\n\n"+
		"**Worry** when writes stop that should not.", d.writes())
	g.row("## 2. Pipe\nIt takes the events from the table's stream to the bus, in batches of 10.\n\n**Worry** when there are writes and no events here, or failures that do not end: the stream keeps events for 24 hours.",
		d.pipeEvents(), d.pipeFailures())
	if here := d.here(); len(here) > 0 {
		g.row("## 3. Bus\nA rule for each consumer sends the events that match to its queue.\n\n**Worry** about failed deliveries: they are in the rules' dead-letter queue, `outbox dead-letters`.",
			d.deliveries("Deliveries to the queues", "Invocations"), d.deliveries("Deliveries that failed for good", "FailedInvocations"))
		g.header("## 4. Consumers\nWhat waits in each queue, and on the right for how long the oldest message has. A consumer that keeps up is near zero. **Worry** when the age grows: it is too slow, or cannot handle a message.")
		g.tiles(consumerGraphs(here))
	}
	d.addLag(g)
	d.addUnconfirmed(g)
	g.row("## Dead letters\nWhat nobody could deliver or handle waits here for a person, for 14 days.\n\n**Act** on anything above zero: fix the reason, then `outbox dead-letters redrive`.", d.deadLetters())
	return g.widgets
}

// here are the consumers of this app.
func (d *dashboard) here() []*Consumer {
	var all []*Consumer
	for _, c := range d.consumers {
		if c.here != nil {
			all = append(all, c.here)
		}
	}
	return all
}

func (d *dashboard) writes() graph {
	return graph{
		title: "Writes to the outbox table", left: "write units",
		lines: []line{{
			label: "write units consumed", namespace: "AWS/DynamoDB", metric: "ConsumedWriteCapacityUnits", statistic: "Sum", period: oneMinute,
			dimensions: []variable{{"TableName", d.outbox.table.TableName()}},
		}},
	}
}

func (d *dashboard) pipeLine(metric, label string) line {
	return line{
		label: label, namespace: "AWS/EventBridge/Pipes", metric: metric, statistic: "Sum", period: oneMinute,
		dimensions: []variable{{"PipeName", d.outbox.pipe.Ref()}},
	}
}

func (d *dashboard) pipeEvents() graph {
	return graph{title: "Events taken up by the pipe", left: "events", lines: []line{d.pipeLine("EventCount", "events")}}
}

func (d *dashboard) pipeFailures() graph {
	return graph{title: "Executions of the pipe that went wrong", left: "executions", lines: []line{
		d.pipeLine("ExecutionFailed", "failed"), d.pipeLine("ExecutionPartiallyFailed", "partially failed"), d.pipeLine("ExecutionThrottled", "throttled"),
	}}
}

// deliveries returns a graph of a metric of the rules.
func (d *dashboard) deliveries(title, metric string) graph {
	return graph{title: title, left: "events", lines: d.ofHere(func(c *Consumer) line { return ruleLine(c, metric) })}
}

func ruleLine(c *Consumer, metric string) line {
	l := line{namespace: "AWS/Events", metric: metric, statistic: "Sum", period: oneMinute}
	if bus := c.flow.eventBus.EventBusName(); *bus != defaultBus {
		l.dimensions = append(l.dimensions, variable{"EventBusName", bus})
	}
	l.dimensions = append(l.dimensions, variable{"RuleName", c.ruleName()})
	return l
}

func queueLine(queue awssqs.IQueue, metric, label string) line {
	return line{
		label: label, namespace: "AWS/SQS", metric: metric, statistic: "Maximum", period: oneMinute,
		dimensions: []variable{{"QueueName", queue.QueueName()}},
	}
}

// consumerGraphs returns a graph for each consumer.
func consumerGraphs(here []*Consumer) []graph {
	var graphs []graph
	for _, c := range here {
		function := []variable{{"FunctionName", c.function.FunctionName()}}
		failed := line{label: "failed invocations", namespace: "AWS/Lambda", metric: "Errors", statistic: "Sum", period: oneMinute, dimensions: function}
		graphs = append(graphs, graph{
			title: *c.Node().Id(), left: "messages", right: "seconds",
			lines: []line{
				queueLine(c.queue, "ApproximateNumberOfMessagesVisible", "waiting"),
				queueLine(c.queue, "ApproximateNumberOfMessagesNotVisible", "being handled"),
				failed,
				queueLine(c.queue, "ApproximateAgeOfOldestMessage", "age of the oldest").onTheRight(),
			},
		})
	}
	return graphs
}

// addLag adds how long events take, as far as somebody measures it.
func (d *dashboard) addLag(g *grid) {
	var graphs []graph
	path := variable{"Outbox", d.outbox.place.deployed()}
	if m := d.outbox.monitor; m != nil {
		beat := line{namespace: ownNamespace, metric: "HeartbeatLag", period: oneMinute, dimensions: []variable{path}}
		graphs = append(graphs, graph{
			title: "Heartbeat, from commit to queue", left: "milliseconds", lines: []line{beat.of("Maximum", "slowest"), beat.of("SampleCount", "heartbeats").onTheRight()}, right: "heartbeats",
			limit: float64(m.maximumLag.length.Milliseconds()), limitLabel: "alarm",
		})
	}
	if lines := d.audited("TimeToEffect", "p95"); len(lines) > 0 {
		graphs = append(graphs, graph{title: "From commit to effect, 95 of 100 events", left: "milliseconds", lines: lines})
	}
	if len(graphs) > 0 {
		g.row("## Lag\nHow long events take. The heartbeat is written once a minute and goes the whole way, so it is there when nothing else is.\n\n"+
			"**Worry** when there is no heartbeat at all, and when the lag grows.", graphs...)
	}
}

func (d *dashboard) auditLine(c *shownConsumer, metric, statistic string) line {
	return line{
		namespace: ownNamespace, metric: metric, statistic: statistic, period: fiveMinutes,
		dimensions: []variable{{"Outbox", d.outbox.place.deployed()}, {"Consumer", jsii.String(c.name)}},
	}
}

// addUnconfirmed adds what the auditor misses.
func (d *dashboard) addUnconfirmed(g *grid) {
	missing := d.audited("Unconfirmed", "Maximum")
	if len(missing) == 0 {
		return
	}
	g.row("## Unconfirmed\nEvents that were committed and have had no effect at a consumer, whatever the queues say.\n\n**Act** when it stays above zero: `outbox audit` lists them, `outbox repair` sends them again.",
		graph{title: "Events without effect", left: "events", lines: missing},
		graph{
			title: "Age of the oldest", left: "seconds", lines: d.audited("OldestUnconfirmed", "Maximum"),
			limit: d.outbox.auditor.props.alarmAfter.length.Seconds(), limitLabel: "alarm",
		})
}

func (d *dashboard) deadLetters() graph {
	const waiting = "ApproximateNumberOfMessagesVisible"
	g := graph{title: "Messages in dead-letter queues", left: "messages"}
	add := func(queue awssqs.IQueue, label, color string) {
		l := queueLine(queue, waiting, label)
		l.color = color
		g.lines = append(g.lines, l)
	}
	add(d.outbox.pipeDeadLetterQueue, "pipe", "#000000")
	add(d.outbox.ruleDeadLetterQueue, "rules", "#545b64")
	if a := d.outbox.auditor; a != nil {
		add(a.deadLetterQueue, "auditor", "#aab7b8")
	}
	g.lines = append(g.lines, d.ofHere(func(c *Consumer) line { return queueLine(c.deadLetterQueue, waiting, "") })...)
	return g
}
