package tables

import (
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// properties are the properties that both table types have and that have an effect locally.
// Source: CloudFormation, AWS::DynamoDB::Table and AWS::DynamoDB::GlobalTable.
type properties struct {
	TableName               string
	AttributeDefinitions    []attribute
	KeySchema               []key
	GlobalSecondaryIndexes  []index
	LocalSecondaryIndexes   []index
	StreamSpecification     *stream
	TimeToLiveSpecification *timeToLive

	// Capacity, encryption and tags have no effect in DynamoDB Local.
	BillingMode      template.Ignored
	SSESpecification template.Ignored
	WarmThroughput   template.Ignored
}

// A table holds the properties of AWS::DynamoDB::Table.
type table struct {
	properties

	ContributorInsightsSpecification template.Ignored
	DeletionProtectionEnabled        template.Ignored
	OnDemandThroughput               template.Ignored
	PointInTimeRecoverySpecification template.Ignored
	ProvisionedThroughput            template.Ignored
	ResourcePolicy                   template.Ignored
	TableClass                       template.Ignored
	Tags                             template.Ignored
}

// A globalTable holds the properties of AWS::DynamoDB::GlobalTable. Its replicas hold the settings of each region;
// locally there is one region, and none of the settings in a replica has an effect.
type globalTable struct {
	properties

	GlobalTableSettingsReplicationMode template.Ignored
	GlobalTableWitnesses               template.Ignored
	MultiRegionConsistency             template.Ignored
	ReadOnDemandThroughputSettings     template.Ignored
	ReadProvisionedThroughputSettings  template.Ignored
	Replicas                           template.Ignored
	WriteOnDemandThroughputSettings    template.Ignored
	WriteProvisionedThroughputSettings template.Ignored
}

type attribute struct {
	AttributeName string
	AttributeType string
}

type key struct {
	AttributeName string
	KeyType       string
}

type index struct {
	IndexName  string
	KeySchema  []key
	Projection projection

	ContributorInsightsSpecification   template.Ignored
	OnDemandThroughput                 template.Ignored
	ProvisionedThroughput              template.Ignored
	ReadOnDemandThroughputSettings     template.Ignored
	ReadProvisionedThroughputSettings  template.Ignored
	WarmThroughput                     template.Ignored
	WriteOnDemandThroughputSettings    template.Ignored
	WriteProvisionedThroughputSettings template.Ignored
}

type projection struct {
	ProjectionType   string
	NonKeyAttributes []string
}

type stream struct {
	StreamViewType string
	ResourcePolicy template.Ignored
}

type timeToLive struct {
	AttributeName string
	Enabled       template.Bool
}
