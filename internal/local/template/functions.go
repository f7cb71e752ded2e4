package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The functions in this file depend only on their argument, which is already resolved.

func join(argument any) (any, error) {
	pair, ok := argument.([]any)
	if !ok || len(pair) != 2 {
		return nil, errors.New("the argument must be [delimiter, list]")
	}
	delimiter, ok := pair[0].(string)
	if !ok {
		return nil, errors.New("the delimiter must be a string")
	}
	parts, err := scalars(pair[1])
	if err != nil {
		return nil, err
	}
	return strings.Join(parts, delimiter), nil
}

func split(argument any) (any, error) {
	parts, err := scalars(argument)
	if err != nil || len(parts) != 2 || parts[0] == "" {
		return nil, errors.New("the argument must be [delimiter, string]")
	}
	var list []any
	for _, part := range strings.Split(parts[1], parts[0]) {
		list = append(list, part)
	}
	return list, nil
}

func selectElement(argument any) (any, error) {
	pair, ok := argument.([]any)
	if !ok || len(pair) != 2 {
		return nil, errors.New("the argument must be [index, list]")
	}
	text, err := scalar(pair[0])
	if err != nil {
		return nil, err
	}
	index, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("the index must be a whole number, got %q", text)
	}
	list, ok := pair[1].([]any)
	if !ok {
		return nil, errors.New("the second argument must be a list")
	}
	if index < 0 || index >= len(list) {
		return nil, fmt.Errorf("the index must be at least 0 and below %d, got %d", len(list), index)
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

// scalars returns a list of scalars as strings.
func scalars(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, errors.New("the value must be a list")
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

// scalar returns a string, number or boolean as CloudFormation writes it into a string.
func scalar(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		return strconv.FormatBool(v), nil
	default:
		return "", errors.New("the value must be a string, not a list or an object")
	}
}
