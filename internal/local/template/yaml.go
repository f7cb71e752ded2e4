package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// JSON returns the text of a template, which may be YAML, as JSON.
func JSON(text []byte) ([]byte, error) {
	if json.Valid(text) {
		return text, nil
	}
	return fromYAML(text)
}

// fromYAML returns a YAML template as JSON, with its members in their order and the short forms of intrinsics, such as
// !Ref, in full.
func fromYAML(raw []byte) ([]byte, error) {
	documents := yaml.NewDecoder(bytes.NewReader(raw))
	var first, second yaml.Node
	if err := documents.Decode(&first); errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty")
	} else if err != nil {
		return nil, err
	}
	if err := documents.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file must have one YAML document, got several")
	}
	var out bytes.Buffer
	err := writeNode(&out, first.Content[0])
	return out.Bytes(), err
}

// writeNode writes a node as JSON.
func writeNode(out *bytes.Buffer, n *yaml.Node) error {
	short := strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!")
	if short {
		fmt.Fprintf(out, "{%q:", fullName(n.Tag[1:]))
	}
	if err := writeContent(out, n, short); err != nil {
		return err
	}
	if short {
		out.WriteByte('}')
	}
	return nil
}

// fullName returns the name of the intrinsic with a short form.
// Source: CloudFormation template reference, intrinsic-function-reference.
func fullName(short string) string {
	if short == "Ref" || short == "Condition" {
		return short
	}
	return "Fn::" + short
}

// writeContent writes a node without its tag. What CloudFormation does not read is refused.
// Source: CloudFormation user guide, template-formats: no aliases, hash merges, binary, omap, pairs, set and timestamp tags.
func writeContent(out *bytes.Buffer, n *yaml.Node, short bool) error {
	switch n.Kind {
	case yaml.MappingNode:
		return writeMapping(out, n)
	case yaml.SequenceNode:
		return writeSequence(out, n)
	case yaml.ScalarNode:
		writeScalar(out, n, short)
		return nil
	case yaml.DocumentNode, yaml.AliasNode:
	}
	return fmt.Errorf("line %d: a template must have no aliases, because CloudFormation does not read them, got *%s", n.Line, n.Value)
}

func writeMapping(out *bytes.Buffer, n *yaml.Node) error {
	seen := map[string]bool{}
	out.WriteByte('{')
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			return fmt.Errorf("line %d: a key must be a text", key.Line)
		case key.ShortTag() == "!!merge":
			return fmt.Errorf("line %d: a template must have no merges (<<), because CloudFormation does not read them", key.Line)
		case seen[key.Value]:
			return fmt.Errorf("line %d: %s must be there once, got two", key.Line, key.Value)
		}
		seen[key.Value] = true
		if i > 0 {
			out.WriteByte(',')
		}
		writeText(out, key.Value)
		out.WriteByte(':')
		if err := writeNode(out, value); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	return nil
}

func writeSequence(out *bytes.Buffer, n *yaml.Node) error {
	out.WriteByte('[')
	for i, element := range n.Content {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := writeNode(out, element); err != nil {
			return err
		}
	}
	out.WriteByte(']')
	return nil
}

// writeScalar keeps numbers as they are written. A number that JSON does not have, such as an account id with a zero in
// front, is a text, and so is a date: AWSTemplateFormatVersion.
func writeScalar(out *bytes.Buffer, n *yaml.Node, short bool) {
	switch kind := n.ShortTag(); {
	case short:
		writeText(out, n.Value)
	case kind == "!!null":
		out.WriteString("null")
	case kind == "!!bool":
		out.WriteString(strings.ToLower(n.Value))
	case (kind == "!!int" || kind == "!!float") && json.Valid([]byte(n.Value)):
		out.WriteString(n.Value)
	default:
		writeText(out, n.Value)
	}
}

func writeText(out *bytes.Buffer, text string) {
	raw, _ := json.Marshal(text) // a text is always JSON
	out.Write(raw)
}
