package outbox

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/jsii-runtime-go"
)

// A dashboard shows the outbox and its consumers in the order in which events flow. Its body is made anew with each consumer
// that is added.
type dashboard struct {
	outbox    *TransactionalOutbox
	consumers []*shownConsumer
	resource  awscloudwatch.CfnDashboard
}

// A shownConsumer is one that the dashboard has a line for: with a graph of its own where it is of this app.
type shownConsumer struct {
	label   string
	name    string // by which the inbox knows it, or none
	audited bool

	here *Consumer // nil for one of another app
}

// newDashboard adds the dashboard.
func (o *TransactionalOutbox) newDashboard() *dashboard {
	d := &dashboard{outbox: o}
	if o.auditor != nil {
		for _, consumer := range o.auditor.props.elsewhere {
			d.consumers = append(d.consumers, &shownConsumer{label: *consumer.Name, name: *consumer.Name, audited: true})
		}
	}
	d.resource = awscloudwatch.NewCfnDashboard(o, jsii.String(dashboardID), &awscloudwatch.CfnDashboardProps{
		DashboardName: o.dashboardName(),
		DashboardBody: d.body(),
	})
	return d
}

// show adds a consumer to the dashboard, if there is one.
func (c *Consumer) show(config *consumerConfig) {
	d := c.flow.dashboard
	if d == nil {
		return
	}
	shown := &shownConsumer{label: *c.Node().Id(), here: c}
	if config.Inbox == Inbox_TABLE {
		shown.name, shown.audited = *config.Name, c.flow.auditor != nil
	}
	d.consumers = append(d.consumers, shown)
	d.resource.SetDashboardBody(d.body())
}

// body returns the body with the names of the resources as tokens.
func (d *dashboard) body() *string {
	return awscdk.Stack_Of(d.outbox).ToJsonString(map[string]any{
		"start": "-PT3H", "periodOverride": "inherit", "widgets": d.widgets(),
	}, nil)
}

// dashboardName returns "<stack>-<outbox>", with a hash where other paths could come out the same.
func (o *TransactionalOutbox) dashboardName() *string {
	return jsii.String(*awscdk.Aws_STACK_NAME() + "-" + dashboardNaming.of(o.place.below))
}
