package tables

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

func (s *Service) provisionTable(ctx context.Context, r template.Resource) (template.Attributes, error) {
	var p table
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	return s.provision(ctx, r, p.properties)
}

func (s *Service) provisionGlobalTable(ctx context.Context, r template.Resource) (template.Attributes, error) {
	var p globalTable
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	return s.provision(ctx, r, p.properties)
}

// provision creates the table, or finds it in the data of an earlier run and checks that it still has the schema of
// the template.
func (s *Service) provision(ctx context.Context, r template.Resource, p properties) (template.Attributes, error) {
	if p.TableName == "" {
		p.TableName = r.PhysicalName
	}
	client := s.cloud.DynamoDB()
	found, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &p.TableName})
	var missing *types.ResourceNotFoundException
	var description *types.TableDescription
	switch {
	case errors.As(err, &missing):
		created, err := client.CreateTable(ctx, p.input())
		if err != nil {
			return template.Attributes{}, fmt.Errorf("create table %s: %w", p.TableName, err)
		}
		description = created.TableDescription
	case err != nil:
		return template.Attributes{}, fmt.Errorf("look for table %s: %w", p.TableName, err)
	default:
		description = found.Table
		if err := compareShapes(p.input(), description); err != nil {
			return template.Attributes{}, err
		}
	}
	if err := setTimeToLive(ctx, client, p); err != nil {
		return template.Attributes{}, err
	}
	return s.attributes(description), nil
}

func (s *Service) attributes(t *types.TableDescription) template.Attributes {
	name := aws.ToString(t.TableName)
	att := map[string]string{"Arn": s.cloud.ARN("dynamodb", "table/"+name)}
	if t.LatestStreamArn != nil {
		att["StreamArn"] = *t.LatestStreamArn
	}
	if t.TableId != nil {
		att["TableId"] = *t.TableId
	}
	return template.Attributes{Ref: name, GetAtt: att}
}

// setTimeToLive sets the table's time to live as in the template.
func setTimeToLive(ctx context.Context, client *dynamodb.Client, p properties) error {
	current, err := client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &p.TableName})
	if err != nil {
		return fmt.Errorf("read the time to live of table %s: %w", p.TableName, err)
	}
	have := aws.ToString(current.TimeToLiveDescription.AttributeName)
	if current.TimeToLiveDescription.TimeToLiveStatus != types.TimeToLiveStatusEnabled {
		have = ""
	}
	var want string
	if t := p.TimeToLiveSpecification; t != nil && bool(t.Enabled) {
		want = t.AttributeName
	}
	if have == want {
		return nil
	}
	set := types.TimeToLiveSpecification{AttributeName: &want, Enabled: aws.Bool(true)}
	if want == "" {
		set = types.TimeToLiveSpecification{AttributeName: &have, Enabled: aws.Bool(false)}
	}
	_, err = client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{TableName: &p.TableName, TimeToLiveSpecification: &set})
	if err != nil {
		return fmt.Errorf("set the time to live of table %s: %w", p.TableName, err)
	}
	return nil
}

// input returns the request that creates the table. Capacity has no effect locally, so every table is on demand.
func (p properties) input() *dynamodb.CreateTableInput {
	in := &dynamodb.CreateTableInput{
		TableName:   &p.TableName,
		BillingMode: types.BillingModePayPerRequest,
		KeySchema:   schema(p.KeySchema),
	}
	for _, a := range p.AttributeDefinitions {
		in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{
			AttributeName: &a.AttributeName, AttributeType: types.ScalarAttributeType(a.AttributeType),
		})
	}
	for _, i := range p.GlobalSecondaryIndexes {
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
			IndexName: &i.IndexName, KeySchema: schema(i.KeySchema), Projection: i.Projection.input(),
		})
	}
	for _, i := range p.LocalSecondaryIndexes {
		in.LocalSecondaryIndexes = append(in.LocalSecondaryIndexes, types.LocalSecondaryIndex{
			IndexName: &i.IndexName, KeySchema: schema(i.KeySchema), Projection: i.Projection.input(),
		})
	}
	if p.StreamSpecification != nil {
		in.StreamSpecification = &types.StreamSpecification{
			StreamEnabled:  aws.Bool(true),
			StreamViewType: types.StreamViewType(p.StreamSpecification.StreamViewType),
		}
	}
	return in
}

func schema(keys []key) []types.KeySchemaElement {
	var elements []types.KeySchemaElement
	for _, k := range keys {
		elements = append(elements, types.KeySchemaElement{AttributeName: &k.AttributeName, KeyType: types.KeyType(k.KeyType)})
	}
	return elements
}

func (p projection) input() *types.Projection {
	return &types.Projection{ProjectionType: types.ProjectionType(p.ProjectionType), NonKeyAttributes: p.NonKeyAttributes}
}
