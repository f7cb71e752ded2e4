package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The functions here need nothing but their argument, which is resolved already.

func join(argument any) (any, error) {
	pair, ok := argument.([]any)
	if !ok || len(pair) != 2 {
		return nil, errors.New("it takes [delimiter, list]")
	}
	delimiter, ok := pair[0].(string)
	if !ok {
		return nil, errors.New("its delimiter must be a string")
	}
	parts, err := texts(pair[1])
	if err != nil {
		return nil, err
	}
	return strings.Join(parts, delimiter), nil
}

func split(argument any) (any, error) {
	parts, err := texts(argument)
	if err != nil || len(parts) != 2 || parts[0] == "" {
		return nil, errors.New("it takes [delimiter, string]")
	}
	var list []any
	for _, part := range strings.Split(parts[1], parts[0]) {
		list = append(list, part)
	}
	return list, nil
}

func choose(argument any) (any, error) {
	pair, ok := argument.([]any)
	if !ok || len(pair) != 2 {
		return nil, errors.New("it takes [index, list]")
	}
	text, err := scalar(pair[0])
	if err != nil {
		return nil, err
	}
	index, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("its index %q is not a number", text)
	}
	list, ok := pair[1].([]any)
	if !ok {
		return nil, errors.New("its second argument must be a list")
	}
	if index < 0 || index >= len(list) {
		return nil, fmt.Errorf("its index is %d, the list has %d elements", index, len(list))
	}
	return list[index], nil
}

func toJSON(argument any) (any, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(argument); err != nil {
		return nil, err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// texts is a list of scalars as strings.
func texts(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, errors.New("a list is expected")
	}
	all := make([]string, len(list))
	for i, element := range list {
		text, err := scalar(element)
		if err != nil {
			return nil, err
		}
		all[i] = text
	}
	return all, nil
}

// scalar is a string, number or truth value as CloudFormation writes it into a string.
func scalar(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		return strconv.FormatBool(v), nil
	default:
		return "", errors.New("a string is expected, not a list or an object")
	}
}
