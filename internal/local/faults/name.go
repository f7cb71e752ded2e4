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

// names knows the events by a name that is the same in every run. An id that is a UUIDv7 is made of the
// time and of chance, so its event is named by what it happened to. The name is learnt where the event is
// seen as a whole, so that a key which holds only the id can be named too.
type names struct {
	mu   sync.Mutex
	byID map[string]string // of all events that were seen
}

func newNames() *names { return &names{byID: map[string]string{}} }

// unstable is a UUIDv7. Source: RFC 9562, section 5.7.
var unstable = regexp.MustCompile(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b`)

// unknown stands for a UUIDv7 of which nothing else is known.
const unknown = "*"

// event is what names an event. Versions are numbers or strings.
type event struct {
	ID            string
	AggregateType string
	AggregateID   string
	Version       any
}

// subject names an event; all that is known of one without an id is that it is one.
func (n *names) subject(e event) subject {
	if e.ID == "" {
		return subject{}
	}
	name := n.learn(e)
	return subject{key: name, events: []string{name}, ids: []string{e.ID}}
}

func (n *names) learn(e event) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case !unstable.MatchString(e.ID):
		n.byID[e.ID] = e.ID
	case e.AggregateType != "" && e.AggregateID != "" && e.Version != nil:
		aggregate := unstable.ReplaceAllStringFunc(e.AggregateID, n.known)
		n.byID[e.ID] = fmt.Sprintf("%s#%s@%v", e.AggregateType, aggregate, e.Version)
	}
	return unstable.ReplaceAllStringFunc(e.ID, n.known)
}

// mentioned are the events whose ids are attributes of an item, or the last part of one, as in the marker
// of a handled event.
func (n *names) mentioned(item map[string]any) (found subject) {
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

// known is called with the lock.
func (n *names) known(id string) string {
	if name, ok := n.byID[id]; ok {
		return name
	}
	return unknown
}

// stable replaces the ids in a text that are not the same in every run.
func (n *names) stable(text string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return unstable.ReplaceAllStringFunc(text, n.known)
}

// inDetail names the event whose envelope is the detail of an EventBridge event.
func (n *names) inDetail(detail []byte) subject {
	var e event
	if json.Unmarshal(detail, &e) != nil {
		return subject{}
	}
	return n.subject(e)
}

// inBody names the event in a message that a rule sent to a queue, or that is the envelope itself.
func (n *names) inBody(body string) subject {
	var message struct{ Detail json.RawMessage }
	if json.Unmarshal([]byte(body), &message) == nil && len(message.Detail) > 0 {
		return n.inDetail(message.Detail)
	}
	return n.inDetail([]byte(body))
}

// inItem names the event in an item, given as DynamoDB's JSON. Items of other kinds have none.
func (n *names) inItem(item map[string]any) subject {
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

// resourceName is the last part of an ARN.
func resourceName(arn string) string { return arn[strings.LastIndexAny(arn, ":/")+1:] }
