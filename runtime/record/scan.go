package record

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// scanner reads an envelope in the form in which pipe and bus write it: fields that are known, all of them
// strings. It reads the text once, where encoding/json does it several times and by reflection, which takes
// longer than all the rest of a message's handling. Any other form is left to encoding/json: what the
// scanner does not fail on, it reads as that would.
type scanner struct {
	text   string
	at     int
	failed bool // whatever was read is void
}

// scan is ok if the text has the form that the scanner knows.
func scan(text string) (e envelope, ok bool) {
	s := scanner{text: text, failed: !utf8.ValidString(text)}
	s.object(func(name string) {
		switch name {
		case "detail-type":
			e.DetailType = s.string()
		case "source":
			e.Source = s.string()
		case "detail":
			s.failed = s.failed || e.Detail != nil // encoding/json would merge the two
			e.Detail = s.detail()
		case "version", "id", "account", "time", "region", "replay-name":
			s.string()
		case "resources":
			s.expect('[')
			s.expect(']')
		default: // perhaps a known field in capitals, which encoding/json would take
			s.failed = true
		}
	})
	s.space()
	return e, !s.failed && s.at == len(s.text)
}

func (s *scanner) detail() *detail {
	d := &detail{}
	s.object(func(name string) {
		switch name {
		case AttrID:
			d.ID = s.string()
		case AttrType:
			d.Type = s.string()
		case AttrAggregateType:
			d.AggregateType = s.string()
		case AttrAggregateID:
			d.AggregateID = s.string()
		case AttrVersion:
			d.Version = s.integer()
		case AttrOccurredAt:
			d.OccurredAt = s.integer()
		case AttrData:
			d.Data = s.document()
		case AttrTraceparent:
			d.Traceparent = s.string()
		case AttrCorrelationID:
			d.CorrelationID = s.string()
		case AttrCausationID:
			d.CausationID = s.string()
		default:
			s.failed = true
		}
	})
	return d
}

// object reads an object that is not empty, and has field read the value of each of its names.
func (s *scanner) object(field func(name string)) {
	s.expect('{')
	for !s.failed {
		name := s.string()
		s.expect(':')
		field(name)
		if !s.next(',') {
			s.expect('}')
			return
		}
	}
}

// string reads a string without escapes.
func (s *scanner) string() string {
	text, escaped := s.quoted()
	s.failed = s.failed || escaped
	return text
}

func (s *scanner) integer() integer {
	n, err := strconv.ParseInt(s.string(), 10, 64)
	s.failed = s.failed || err != nil
	return integer{value: n, given: true}
}

// document reads a string that holds JSON.
func (s *scanner) document() document {
	text, _ := s.quoted()
	inner := unescape(text)
	s.failed = s.failed || !json.Valid(inner)
	return document{json: inner}
}

// quoted reads a string as it stands between its quotes.
func (s *scanner) quoted() (text string, escaped bool) {
	s.expect('"')
	start := s.at
	for i := start; i < len(s.text) && s.text[i] >= ' '; i++ {
		switch s.text[i] {
		case '"':
			s.at = i + 1
			return s.text[start:i], escaped
		case '\\':
			escaped = true
			i++
		}
	}
	s.failed = true
	return "", false
}

// unescape undoes escapes of one letter. It is nil where there are others: those of a character's number
// are rare.
func unescape(text string) []byte {
	const letters, meaning = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	plain := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\\' {
			i++
			at := strings.IndexByte(letters, text[i])
			if at < 0 {
				return nil
			}
			c = meaning[at]
		}
		plain = append(plain, c)
	}
	return plain
}

// expect fails unless the character comes next.
func (s *scanner) expect(c byte) { s.failed = !s.next(c) || s.failed }

// next steps over the character if it comes next.
func (s *scanner) next(c byte) bool {
	s.space()
	if s.at == len(s.text) || s.text[s.at] != c {
		return false
	}
	s.at++
	return true
}

func (s *scanner) space() {
	for s.at < len(s.text) && isSpace(s.text[s.at]) {
		s.at++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }
