package wire

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"time"

	// The SDK's own reading and writing of CBOR. Smithy calls its API unstable; the version is pinned, and the tests speak
	// to it with the SDK's clients.
	"github.com/aws/smithy-go/encoding/cbor"
)

// toJSON returns what json.Marshal writes as AWS does.
func toJSON(value any) any {
	switch value := value.(type) {
	case object:
		all := map[string]any{}
		for _, f := range value {
			all[f.name] = toJSON(f.value)
		}
		return all
	case entries:
		all := map[string]any{}
		for name, inner := range value {
			all[name] = toJSON(inner)
		}
		return all
	case []any:
		all := make([]any, len(value))
		for i, element := range value {
			all[i] = toJSON(element)
		}
		return all
	case time.Time:
		return seconds(value)
	}
	return value
}

// toCBOR returns the value as CBOR. A time is tagged.
// Source: Smithy, RPC v2 CBOR protocol, "Timestamp encoding".
func toCBOR(value any) cbor.Value {
	switch value := value.(type) {
	case object:
		all := cbor.Map{}
		for _, f := range value {
			all[f.name] = toCBOR(f.value)
		}
		return all
	case entries:
		all := cbor.Map{}
		for name, inner := range value {
			all[name] = toCBOR(inner)
		}
		return all
	case []any:
		all := make(cbor.List, len(value))
		for i, element := range value {
			all[i] = toCBOR(element)
		}
		return all
	case time.Time:
		return &cbor.Tag{ID: 1, Value: cbor.Float64(seconds(value))}
	case nil:
		return &cbor.Nil{}
	case string:
		return cbor.String(value)
	case bool:
		return cbor.Bool(value)
	case float64:
		return cbor.Float64(value)
	case int64:
		if value < 0 {
			return cbor.NegInt(uint64(-value))
		}
		return cbor.Uint(uint64(value))
	}
	panic(fmt.Sprintf("no CBOR for a %T", value))
}

// fromCBOR returns the value as json.Marshal takes it.
func fromCBOR(raw []byte) (any, error) {
	if len(raw) == 0 {
		return map[string]any{}, nil
	}
	value, err := cbor.Decode(raw)
	if err != nil {
		return nil, err
	}
	return plain(value)
}

func plain(value cbor.Value) (any, error) {
	switch value := value.(type) {
	case cbor.Map:
		all := map[string]any{}
		for name, inner := range value {
			var err error
			if all[name], err = plain(inner); err != nil {
				return nil, err
			}
		}
		return all, nil
	case cbor.List:
		all := []any{}
		for _, inner := range value {
			element, err := plain(inner)
			if err != nil {
				return nil, err
			}
			all = append(all, element)
		}
		return all, nil
	case *cbor.Tag:
		return plain(value.Value)
	case cbor.String:
		return string(value), nil
	case cbor.Bool:
		return bool(value), nil
	case cbor.Uint:
		return uint64(value), nil
	case cbor.NegInt:
		return -int64(value), nil
	case cbor.Float32:
		return float32(value), nil
	case cbor.Float64:
		return float64(value), nil
	case *cbor.Nil, *cbor.Undefined:
		return nil, nil
	}
	return nil, fmt.Errorf("the request has a value of the type %T, which the operation does not", value)
}

// toXML writes the value as the Query protocol does: the elements of a list are called member, those of a map entry.
// Source: Smithy, AWS Query protocol, "Response serialization".
func toXML(b *bytes.Buffer, value any) {
	switch value := value.(type) {
	case object:
		for _, f := range value {
			element(b, f.name, f.value)
		}
	case entries:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			element(b, "entry", object{{"key", name}, {"value", value[name]}})
		}
	case []any:
		for _, inner := range value {
			element(b, "member", inner)
		}
	case time.Time:
		b.WriteString(value.UTC().Format("2006-01-02T15:04:05.000Z"))
	case string:
		_ = xml.EscapeText(b, []byte(value))
	default:
		fmt.Fprint(b, value)
	}
}

func element(b *bytes.Buffer, name string, value any) {
	fmt.Fprintf(b, "<%s>", name)
	toXML(b, value)
	fmt.Fprintf(b, "</%s>", name)
}

// marshal returns the tree as JSON, without the escapes that HTML would need.
func marshal(value any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(toJSON(value)) // a tree has only what JSON has
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
