package faults

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// eventNames maps the ids of events to names that are the same in every run. A UUIDv7 consists of the time and of
// random bits, so its event is named by its aggregate and version. The name is stored where the whole event is
// seen, so that a key which holds only the id has a name too.
type eventNames struct {
	mu   sync.Mutex
	byID map[string]string // names of all events that were seen
}

func newEventNames() *eventNames { return &eventNames{byID: map[string]string{}} }

// uuidV7 matches a UUIDv7. Source: RFC 9562, section 5.7.
var uuidV7 = regexp.MustCompile(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b`)

// unknown replaces a UUIDv7 that belongs to no event that was seen.
const unknown = "*"

// An event holds the fields that name an event. A version is a number or a string.
type event struct {
	ID            string
	AggregateType string
	AggregateID   string
	Version       any
}

// subject returns the subject of an event; it is empty for an event without an id.
func (n *eventNames) subject(e event) subject {
	if e.ID == "" {
		return subject{}
	}
	name := n.learnName(e)
	return subject{key: name, events: []string{name}, ids: []string{e.ID}}
}

func (n *eventNames) learnName(e event) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case !uuidV7.MatchString(e.ID):
		n.byID[e.ID] = e.ID
	case e.AggregateType != "" && e.AggregateID != "" && e.Version != nil:
		aggregate := uuidV7.ReplaceAllStringFunc(e.AggregateID, n.nameOfID)
		n.byID[e.ID] = fmt.Sprintf("%s#%s@%v", e.AggregateType, aggregate, e.Version)
	}
	return uuidV7.ReplaceAllStringFunc(e.ID, n.nameOfID)
}

// know makes an id the name of its event, where that was not seen.
func (n *eventNames) know(id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, seen := n.byID[id]; !seen && id != "" {
		n.byID[id] = id
	}
}

// mentionedEvents returns the events whose ids are attributes of an item, or follow the last # of one, as in the
// inbox's marker of a handled event.
func (n *eventNames) mentionedEvents(item map[string]any) (found subject) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, attribute := range slices.Sorted(maps.Keys(item)) {
		value, _ := item[attribute].(map[string]any)
		text, _ := value["S"].(string)
		id := text[strings.LastIndexByte(text, '#')+1:]
		if name, seen := n.byID[id]; seen && !slices.Contains(found.ids, id) {
			found.events, found.ids = append(found.events, name), append(found.ids, id)
		}
	}
	return found
}

// nameOfID returns the name of the event with that id. Its caller holds the lock.
func (n *eventNames) nameOfID(id string) string {
	if name, ok := n.byID[id]; ok {
		return name
	}
	return unknown
}

// replaceUnstableIDs replaces the ids in a text that differ from run to run.
func (n *eventNames) replaceUnstableIDs(text string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return uuidV7.ReplaceAllStringFunc(text, n.nameOfID)
}

// inDetail returns the subject of the event whose envelope is the detail of an EventBridge event.
func (n *eventNames) inDetail(detail []byte) subject {
	var e event
	if json.Unmarshal(detail, &e) != nil {
		return subject{}
	}
	return n.subject(e)
}

// inBody returns the subject of the event in a message: one that a rule sent to a queue, or the envelope itself.
func (n *eventNames) inBody(body string) subject {
	var message struct{ Detail json.RawMessage }
	if json.Unmarshal([]byte(body), &message) == nil && len(message.Detail) > 0 {
		return n.inDetail(message.Detail)
	}
	return n.inDetail([]byte(body))
}

// inItem returns the subject of the event in an item in DynamoDB's JSON; it is empty for other items.
func (n *eventNames) inItem(item map[string]any) subject {
	if item["recordType"] == nil {
		return subject{}
	}
	attribute := func(name string) string {
		value, _ := item[name].(map[string]any)
		for _, kind := range []string{"S", "N"} {
			if text, ok := value[kind].(string); ok {
				return text
			}
		}
		return ""
	}
	e := event{ID: attribute("id"), AggregateType: attribute("aggregateType"), AggregateID: attribute("aggregateId")}
	if version := attribute("version"); version != "" {
		e.Version = version
	}
	return n.subject(e)
}

// resourceName returns the last part of an ARN.
func resourceName(arn string) string { return arn[strings.LastIndexAny(arn, ":/")+1:] }
