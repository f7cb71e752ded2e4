package access

import (
	"encoding/json"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/iam"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

const (
	caller   = "arn:aws:iam::000000000000:role/Caller"
	tableARN = "arn:aws:dynamodb:eu-west-1:000000000000:table/Orders"
	busARN   = "arn:aws:events:eu-west-1:000000000000:event-bus/Bus"
	queueARN = "arn:aws:sqs:eu-west-1:000000000000:Queue"
)

// withStatements returns an Authority with one role, which has the statements, and the table Orders with an index.
func withStatements(t *testing.T, statements ...string) (*Authority, *[]string) {
	t.Helper()
	var notices []string
	a := New(Config{Cloud: cloud.New("eu-west-1"), Notice: func(text string) { notices = append(notices, text) }})
	provisions := a.Observe(a.Provisions())
	_, err := provisions["AWS::IAM::Role"](t.Context(), resource("AWS::IAM::Role", "Caller", map[string]any{
		"RoleName": "Caller", "AssumeRolePolicyDocument": trusting("lambda.amazonaws.com"),
		"Policies": []any{map[string]any{"PolicyName": "P", "PolicyDocument": policyDocument(statements...)}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	table := resource("AWS::DynamoDB::Table", "Orders", map[string]any{
		"KeySchema":              []any{map[string]any{"AttributeName": "pk", "KeyType": "HASH"}, map[string]any{"AttributeName": "sk", "KeyType": "RANGE"}},
		"GlobalSecondaryIndexes": []any{map[string]any{"IndexName": "ByCustomer", "KeySchema": []any{map[string]any{"AttributeName": "customer", "KeyType": "HASH"}}}},
	})
	if err := a.noteTable(table, "Orders"); err != nil {
		t.Fatal(err)
	}
	a.noteNames(table, template.Attributes{GetAtt: map[string]string{"Arn": tableARN}})
	return a, &notices
}

func resource(kind, id string, properties map[string]any) template.Resource {
	return template.Resource{LogicalID: id, Type: kind, PhysicalName: "Stack-" + id, Properties: properties}
}

func policyDocument(statements ...string) map[string]any {
	return decoded([]byte(`{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`))
}

func trusting(service string) map[string]any {
	return policyDocument(`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"` + service + `"}}`)
}

func allow(action, resource, condition string) string {
	if condition == "" {
		condition = "{}"
	}
	return `{"Effect":"Allow","Action":"` + action + `","Resource":"` + resource + `","Condition":` + condition + `}`
}

// send sends a call with an access key through a guard, and returns the answer: 200 with the body that came through.
func send(guard func(http.Handler) http.Handler, key, target, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", target)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+key+"/20261127/eu-west-1/x/aws4_request, SignedHeaders=host, Signature=0")
	w := httptest.NewRecorder()
	guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })).ServeHTTP(w, r)
	return w
}

const inTransaction = `{"ForAnyValue:StringEquals":{"dynamodb:EnclosingOperation":["TransactWriteItems"]}}`

func TestCallsToDynamoDB(t *testing.T) {
	put := `{"TableName":"Orders","Item":{"pk":{"S":"event#1"},"sk":{"S":"x"},"total":{"N":"1"}}}`
	write := `{"TransactItems":[{"Put":` + put + `},{"ConditionCheck":{"TableName":"Orders","Key":{"pk":{"S":"event#2"}},"ConditionExpression":"attribute_exists(pk)"}}]}`
	query := `{"TableName":"Orders","KeyConditionExpression":"#k = :k AND sk > :s","ProjectionExpression":"#k, total.cents","Select":"SPECIFIC_ATTRIBUTES",` +
		`"ExpressionAttributeNames":{"#k":"pk"},"ExpressionAttributeValues":{":k":{"S":"event#1"},":s":{"S":"a"}}}`
	keys := func(pattern string) string {
		return `{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["` + pattern + `"]},"Null":{"dynamodb:LeadingKeys":"false"}}`
	}
	attributes := func(names string) string {
		return `{"ForAllValues:StringEquals":{"dynamodb:Attributes":[` + names + `]},"StringEquals":{"dynamodb:Select":"SPECIFIC_ATTRIBUTES"}}`
	}
	cases := map[string]struct {
		operation, body string
		statements      []string
		denied          string // the action, or empty
	}{
		"put":                                {"PutItem", put, []string{allow("dynamodb:PutItem", tableARN, "")}, ""},
		"put by ARN":                         {"PutItem", strings.Replace(put, `"Orders"`, `"`+tableARN+`"`, 1), []string{allow("dynamodb:PutItem", tableARN, keys("event#*"))}, ""},
		"put without permission":             {"PutItem", put, nil, "dynamodb:PutItem"},
		"put of another key":                 {"PutItem", put, []string{allow("dynamodb:*", tableARN, keys("join#*"))}, "dynamodb:PutItem"},
		"put of that key":                    {"PutItem", put, []string{allow("dynamodb:*", tableARN, keys("event#*"))}, ""},
		"put alone, allowed in transactions": {"PutItem", put, []string{allow("dynamodb:*", tableARN, inTransaction)}, "dynamodb:PutItem"},
		"transaction":                        {"TransactWriteItems", write, []string{allow("dynamodb:PutItem", tableARN, inTransaction), allow("dynamodb:ConditionCheckItem", tableARN, inTransaction)}, ""},
		"transaction without its check":      {"TransactWriteItems", write, []string{allow("dynamodb:PutItem", tableARN, inTransaction)}, "dynamodb:ConditionCheckItem"},
		"no permission of that name":         {"TransactWriteItems", write, []string{allow("dynamodb:TransactWriteItems", tableARN, "")}, "dynamodb:PutItem"},
		"transaction reads":                  {"TransactGetItems", `{"TransactItems":[{"Get":{"TableName":"Orders","Key":{"pk":{"S":"1"}}}}]}`, []string{allow("dynamodb:PutItem", "*", "")}, "dynamodb:GetItem"},
		"update":                             {"UpdateItem", `{"TableName":"Orders","Key":{"pk":{"S":"event#1"}},"UpdateExpression":"SET a = if_not_exists(b, :v)"}`, []string{allow("dynamodb:UpdateItem", tableARN, `{"ForAllValues:StringEquals":{"dynamodb:Attributes":["pk","a","b"]}}`)}, ""},
		"update of another attribute":        {"UpdateItem", `{"TableName":"Orders","Key":{"pk":{"S":"event#1"}},"UpdateExpression":"SET a = :v REMOVE c"}`, []string{allow("dynamodb:UpdateItem", tableARN, `{"ForAllValues:StringEquals":{"dynamodb:Attributes":["pk","a","b"]}}`)}, "dynamodb:UpdateItem"},
		"query of attributes":                {"Query", query, []string{allow("dynamodb:Query", tableARN, attributes(`"pk","sk","total"`))}, ""},
		"query of one more":                  {"Query", query, []string{allow("dynamodb:Query", tableARN, attributes(`"pk","sk"`))}, "dynamodb:Query"},
		"query of all":                       {"Query", strings.Replace(query, "SPECIFIC_ATTRIBUTES", "ALL_ATTRIBUTES", 1), []string{allow("dynamodb:Query", tableARN, attributes(`"pk","sk","total"`))}, "dynamodb:Query"},
		"query of a key":                     {"Query", query, []string{allow("dynamodb:Query", tableARN, keys("event#1"))}, ""},
		"query of another key":               {"Query", query, []string{allow("dynamodb:Query", tableARN, keys("event#2"))}, "dynamodb:Query"},
		"query in the older form":            {"Query", `{"TableName":"Orders","KeyConditions":{"pk":{"ComparisonOperator":"EQ","AttributeValueList":[{"S":"event#1"}]}}}`, []string{allow("dynamodb:Query", tableARN, keys("event#1"))}, ""},
		"index without permission":           {"Query", `{"TableName":"Orders","IndexName":"ByCustomer"}`, []string{allow("dynamodb:Query", tableARN, "")}, "dynamodb:Query"},
		"index, by its own key":              {"Query", `{"TableName":"Orders","IndexName":"ByCustomer","KeyConditionExpression":"customer=:c","ExpressionAttributeValues":{":c":{"S":"c"}}}`, []string{allow("dynamodb:Query", tableARN+"/index/*", keys("c"))}, ""},
		"batch of two keys":                  {"BatchGetItem", `{"RequestItems":{"Orders":{"Keys":[{"pk":{"S":"event#1"}},{"pk":{"S":"join#1"}}]}}}`, []string{allow("dynamodb:BatchGetItem", tableARN, keys("event#*"))}, "dynamodb:BatchGetItem"},
		"batch of writes":                    {"BatchWriteItem", `{"RequestItems":{"Orders":[{"PutRequest":{"Item":{"pk":{"S":"event#1"}}}},{"DeleteRequest":{"Key":{"pk":{"S":"event#2"}}}}]}}`, []string{allow("dynamodb:BatchWriteItem", tableARN, keys("event#*"))}, ""},
		"stream by its iterator":             {"GetRecords", `{"ShardIterator":"000|arn:aws:dynamodb:ddblocal:000000000000:table/Orders/stream/1|abc"}`, []string{allow("dynamodb:GetRecords", tableARN+"/stream/1", "")}, ""},
		"another stream":                     {"DescribeStream", `{"StreamArn":"` + tableARN + `/stream/2"}`, []string{allow("dynamodb:DescribeStream", tableARN+"/stream/1", "")}, "dynamodb:DescribeStream"},
		"table":                              {"DescribeTable", `{"TableName":"Orders"}`, []string{allow("dynamodb:DescribeTable", tableARN, "")}, ""},
		"no table":                           {"ListTables", `{}`, []string{allow("dynamodb:ListTables", tableARN, "")}, "dynamodb:ListTables"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a, _ := withStatements(t, c.statements...)
			got := send(a.GuardTables, a.Key(caller, "fn"), "DynamoDB_20120810."+c.operation, c.body)
			if c.denied == "" {
				if got.Code != http.StatusOK || got.Body.String() != c.body {
					t.Errorf("answer %d %s, want the call to come through", got.Code, got.Body)
				}
				return
			}
			want := "is not authorized to perform: " + c.denied + " on resource: "
			if got.Code != http.StatusBadRequest || !strings.Contains(got.Body.String(), want) {
				t.Errorf("answer %d %s, want a denial of %s", got.Code, got.Body, c.denied)
			}
		})
	}
}

// The text is AWS's. Source: IAM user guide, troubleshoot_access-denied.
func TestDenialReadsAsAWSs(t *testing.T) {
	a, notices := withStatements(t)
	got := send(a.GuardTables, a.Key(caller, "fn"), "DynamoDB_20120810.PutItem", `{"TableName":"Orders","Item":{"pk":{"S":"1"}}}`)
	var answer struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(got.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	want := "User: arn:aws:sts::000000000000:assumed-role/Caller/fn is not authorized to perform: dynamodb:PutItem on resource: " + tableARN +
		" because no identity-based policy allows the dynamodb:PutItem action"
	if answer.Message != want || !strings.HasSuffix(answer.Type, "#AccessDeniedException") {
		t.Errorf("got  %s\nwant %s", answer.Message, want)
	}
	if sum := strconv.FormatUint(uint64(crc32.ChecksumIEEE(got.Body.Bytes())), 10); got.Header().Get("X-Amz-Crc32") != sum {
		t.Errorf("checksum %q, want %s", got.Header().Get("X-Amz-Crc32"), sum)
	}
	missing := `{"Effect":"Allow","Action":"dynamodb:PutItem","Resource":{"Fn::GetAtt":["Orders","Arn"]}}`
	if len(*notices) != 1 || !strings.Contains((*notices)[0], missing) || !strings.Contains((*notices)[0], "leadingkeys [1]") {
		t.Errorf("notices %q, want one with %s", *notices, missing)
	}
}

func TestExplicitDenyNamesItsStatement(t *testing.T) {
	deny := `{"Action":"dynamodb:Put*","Effect":"Deny","Resource":"*","Sid":"NoWrites"}`
	a, notices := withStatements(t, allow("*", "*", ""), deny)
	got := send(a.GuardTables, a.Key(caller, "fn"), "DynamoDB_20120810.PutItem", `{"TableName":"Orders"}`)
	if !strings.Contains(got.Body.String(), "with an explicit deny in an identity-based policy") {
		t.Errorf("answer %s", got.Body)
	}
	if len(*notices) != 1 || !strings.Contains((*notices)[0], deny) {
		t.Errorf("notices %q, want one with %s", *notices, deny)
	}
}

func TestTheDeveloperMayDoEverything(t *testing.T) {
	a, notices := withStatements(t)
	for _, key := range []string{cloud.DeveloperKey, "AKIAANYTHING"} {
		if got := send(a.GuardTables, key, "DynamoDB_20120810.ExecuteStatement", `{}`); got.Code != http.StatusOK {
			t.Errorf("key %s: answer %d %s", key, got.Code, got.Body)
		}
	}
	if len(*notices) > 0 {
		t.Errorf("notices %q", *notices)
	}
}

func TestPartiQLIsRefused(t *testing.T) {
	a, _ := withStatements(t, allow("*", "*", ""))
	got := send(a.GuardTables, a.Key(caller, "fn"), "DynamoDB_20120810.ExecuteStatement", `{"Statement":"SELECT"}`)
	if got.Code != http.StatusBadRequest || !strings.Contains(got.Body.String(), "PartiQL") {
		t.Errorf("answer %d %s, want one that names PartiQL", got.Code, got.Body)
	}
}

func TestAnUnknownRoleIsLetIn(t *testing.T) {
	a, notices := withStatements(t)
	got := send(a.GuardTables, a.Key("arn:aws:iam::000000000000:role/Imported", "fn"), "DynamoDB_20120810.PutItem", `{"TableName":"Orders"}`)
	if got.Code != http.StatusOK || len(*notices) != 1 || !strings.Contains((*notices)[0], "role/Imported") {
		t.Errorf("answer %d, notices %q; want it let in with a notice", got.Code, *notices)
	}
}

func TestCallsToEventBridge(t *testing.T) {
	put := `{"Entries":[{"EventBusName":"Bus","Source":"orders","DetailType":"A"},{"EventBusName":"` + busARN + `","Source":"billing","DetailType":"A"}]}`
	cases := map[string]struct {
		operation, body, condition string
		want                       int
	}{
		"sources":         {"PutEvents", put, `{"ForAllValues:StringEquals":{"events:source":["orders","billing"]}}`, http.StatusOK},
		"another source":  {"PutEvents", put, `{"ForAllValues:StringEquals":{"events:source":["orders"]}}`, http.StatusBadRequest},
		"another bus":     {"PutEvents", `{"Entries":[{"Source":"orders"}]}`, "", http.StatusBadRequest},
		"rules of a bus":  {"ListRules", `{"EventBusName":"Bus"}`, "", http.StatusOK},
		"rules of others": {"ListRules", `{}`, "", http.StatusBadRequest},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a, _ := withStatements(t, allow("events:*", busARN, c.condition))
			if got := send(a.GuardBuses, a.Key(caller, "fn"), "AWSEvents."+c.operation, c.body); got.Code != c.want {
				t.Errorf("answer %d %s, want %d", got.Code, got.Body, c.want)
			}
		})
	}
}

// The bus itself refuses what its policy denies of PutEvents: single entries.
func TestAPolicyOfTheBus(t *testing.T) {
	for name, c := range map[string]struct {
		effect, action, operation string
		roleMay                   bool
		want                      int
	}{
		"allows":                 {"Allow", "events:PutEvents", "PutEvents", false, http.StatusOK},
		"allows something else":  {"Allow", "events:ListRules", "PutEvents", false, http.StatusBadRequest},
		"denies an event":        {"Deny", "events:PutEvents", "PutEvents", true, http.StatusOK},
		"denies, nothing allows": {"Deny", "events:PutEvents", "PutEvents", false, http.StatusBadRequest},
		"denies another call":    {"Deny", "events:ListRules", "ListRules", true, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			var statements []string
			if c.roleMay {
				statements = append(statements, allow("events:*", busARN, ""))
			}
			a, _ := withStatements(t, statements...)
			policy, err := iam.Parse(iam.Resource, []byte(`{"Statement":{"Effect":"`+c.effect+`","Action":"`+c.action+`","Resource":"`+busARN+`","Principal":{"AWS":"`+caller+`"}}}`))
			if err != nil {
				t.Fatal(err)
			}
			a.AddPolicies(func(arn string) *iam.Policy { return map[string]*iam.Policy{busARN: policy}[arn] })
			body := `{"EventBusName":"Bus","Entries":[{"EventBusName":"Bus"}]}`
			if got := send(a.GuardBuses, a.Key(caller, "fn"), "AWSEvents."+c.operation, body); got.Code != c.want {
				t.Errorf("answer %d %s, want %d", got.Code, got.Body, c.want)
			}
		})
	}
}

func TestCallsToQueues(t *testing.T) {
	url := `{"QueueUrl":"http://127.0.0.1:1/000000000000/Queue"}`
	deny := `{"Effect":"Deny","Action":"sqs:*","Resource":"` + queueARN + `","Principal":"*"}`
	cases := map[string]struct {
		operation, body string
		statements      []string
		queuePolicy     string
		want            int
		text            string
	}{
		"batch":                     {"SendMessageBatch", url, []string{allow("sqs:SendMessage", queueARN, "")}, "", http.StatusNoContent, ""},
		"visibility of a batch":     {"ChangeMessageVisibilityBatch", url, []string{allow("sqs:ChangeMessageVisibility", queueARN, "")}, "", http.StatusNoContent, ""},
		"by name":                   {"GetQueueUrl", `{"QueueName":"Queue"}`, []string{allow("sqs:GetQueueUrl", queueARN, "")}, "", http.StatusNoContent, ""},
		"no permission":             {"SendMessage", url, nil, "", http.StatusOK, "because no identity-based policy allows the sqs:sendmessage action"},
		"the queue's policy denies": {"SendMessage", url, []string{allow("*", "*", "")}, deny, http.StatusOK, "with an explicit deny in a resource-based policy"},
		"the queue's policy allows": {"SendMessage", url, nil, strings.Replace(deny, "Deny", "Allow", 1), http.StatusNoContent, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a, _ := withStatements(t, c.statements...)
			if c.queuePolicy != "" {
				parsed, err := iam.Parse(iam.Resource, []byte(`{"Statement":`+c.queuePolicy+`}`))
				if err != nil {
					t.Fatal(err)
				}
				a.AddPolicies(func(arn string) *iam.Policy {
					if arn != queueARN {
						return nil
					}
					return parsed
				})
			}
			got := send(func(http.Handler) http.Handler { return http.HandlerFunc(a.answerQueues) }, a.Key(caller, "fn"), "AmazonSQS."+c.operation, c.body)
			if got.Code != c.want || !strings.Contains(got.Body.String(), c.text) {
				t.Errorf("answer %d %s, want %d with %q", got.Code, got.Body, c.want, c.text)
			}
		})
	}
}
