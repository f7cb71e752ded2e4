package access

import (
	"net/http"
	"slices"

	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/internal/local/iam"
)

var eventBridgeProtocol = protocol{
	requests: (*Authority).busRequests, targets: []string{"AWSEvents."},
	errorType: "AccessDeniedException", contentType: "application/x-amz-json-1.1", status: http.StatusBadRequest,
	text: (*Denial).Error,
}

const putEvents = "events:PutEvents"

func requestID() string { return uuid.NewString() }

// busRequests returns the requests of a call to EventBridge.
// Source: Service authorization reference, list_amazoneventbridge; EventBridge user guide, eb-use-conditions.
func (a *Authority) busRequests(operation string, body []byte) ([]iam.Request, error) {
	if action := "events:" + operation; action != putEvents {
		var on struct{ EventBusName string }
		if err := decode(body, &on); err != nil {
			return nil, err
		}
		resource := "*"
		if on.EventBusName != "" {
			resource = a.busARN(on.EventBusName)
		}
		return []iam.Request{{Action: action, Resource: resource}}, nil
	}
	var put struct {
		Entries []struct{ EventBusName, Source, DetailType string }
	}
	if err := decode(body, &put); err != nil {
		return nil, err
	}
	var requests []iam.Request
	for _, e := range put.Entries {
		bus := a.busARN(e.EventBusName)
		i := slices.IndexFunc(requests, func(r iam.Request) bool { return r.Resource == bus })
		if i < 0 {
			i = len(requests)
			requests = append(requests, iam.Request{Action: putEvents, Resource: bus, Context: iam.Context{}})
		}
		add(requests[i].Context, "events:source", e.Source)
		add(requests[i].Context, "events:detail-type", e.DetailType)
	}
	return requests, nil
}

// add adds a value to those of a key.
func add(c iam.Context, key, value string) {
	if !slices.Contains(c[key], value) {
		c[key] = append(c[key], value)
	}
}
