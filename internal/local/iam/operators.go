package iam

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// operators holds every condition operator except Null.
// Source: IAM user guide, reference_policies_elements_condition_operators.
var operators = map[string]operator{
	"StringEquals":              {match: equal, variables: true},
	"StringNotEquals":           {match: equal, variables: true, negated: true},
	"StringEqualsIgnoreCase":    {match: strings.EqualFold, variables: true},
	"StringNotEqualsIgnoreCase": {match: strings.EqualFold, variables: true, negated: true},
	"StringLike":                {match: glob, variables: true, wildcards: true},
	"StringNotLike":             {match: glob, variables: true, wildcards: true, negated: true},

	"NumericEquals":            numeric(func(c int) bool { return c == 0 }, false),
	"NumericNotEquals":         numeric(func(c int) bool { return c == 0 }, true),
	"NumericLessThan":          numeric(func(c int) bool { return c < 0 }, false),
	"NumericLessThanEquals":    numeric(func(c int) bool { return c <= 0 }, false),
	"NumericGreaterThan":       numeric(func(c int) bool { return c > 0 }, false),
	"NumericGreaterThanEquals": numeric(func(c int) bool { return c >= 0 }, false),

	"DateEquals":            date(func(c int) bool { return c == 0 }, false),
	"DateNotEquals":         date(func(c int) bool { return c == 0 }, true),
	"DateLessThan":          date(func(c int) bool { return c < 0 }, false),
	"DateLessThanEquals":    date(func(c int) bool { return c <= 0 }, false),
	"DateGreaterThan":       date(func(c int) bool { return c > 0 }, false),
	"DateGreaterThanEquals": date(func(c int) bool { return c >= 0 }, false),

	"Bool":         {match: strings.EqualFold, check: checkBool, variables: true},
	"BinaryEquals": {match: equal, check: checkBinary},

	"IpAddress":    {match: inNetwork, check: checkNetwork},
	"NotIpAddress": {match: inNetwork, check: checkNetwork, negated: true},

	// ArnEquals and ArnLike behave the same.
	"ArnEquals":    {match: arnLike, variables: true, wildcards: true},
	"ArnLike":      {match: arnLike, variables: true, wildcards: true},
	"ArnNotEquals": {match: arnLike, variables: true, wildcards: true, negated: true},
	"ArnNotLike":   {match: arnLike, variables: true, wildcards: true, negated: true},
}

func equal(policy, request string) bool { return policy == request }

// numeric returns an operator that holds when the request's number compares to the policy's as wanted.
func numeric(wanted func(int) bool, negated bool) operator {
	return operator{
		match: func(policy, request string) bool {
			want, err := strconv.ParseFloat(policy, 64)
			got, other := strconv.ParseFloat(request, 64)
			return err == nil && other == nil && wanted(cmp.Compare(got, want))
		},
		check: func(value string) error {
			if _, err := strconv.ParseFloat(value, 64); err != nil {
				return fmt.Errorf("the value must be a number, got %q", value)
			}
			return nil
		},
		negated: negated,
	}
}

// date returns an operator that holds when the request's time compares to the policy's as wanted.
func date(wanted func(int) bool, negated bool) operator {
	return operator{
		match: func(policy, request string) bool {
			want, err := parseTime(policy)
			got, other := parseTime(request)
			return err == nil && other == nil && wanted(got.Compare(want))
		},
		check:   func(value string) error { _, err := parseTime(value); return err },
		negated: negated,
	}
}

// timeForms are the forms of ISO 8601 that policies use, beside seconds since 1970.
var timeForms = []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02"}

func parseTime(value string) (time.Time, error) {
	for _, form := range timeForms {
		if t, err := time.Parse(form, value); err == nil {
			return t, nil
		}
	}
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		return time.UnixMilli(int64(seconds * 1000)), nil
	}
	return time.Time{}, fmt.Errorf("the value must be a date as in ISO 8601 or seconds since 1970, got %q", value)
}

func inNetwork(policy, request string) bool {
	network, err := parseNetwork(policy)
	address, other := netip.ParseAddr(request)
	return err == nil && other == nil && network.Contains(address)
}

// parseNetwork reads a network; a single address is one with all its bits.
func parseNetwork(value string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(value); err == nil {
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	network, err := netip.ParsePrefix(value)
	return network.Masked(), err
}

func checkNetwork(value string) error {
	if _, err := parseNetwork(value); err != nil {
		return fmt.Errorf("the value must be an address or a network like 10.0.0.0/8, got %q", value)
	}
	return nil
}

func checkBool(value string) error {
	if !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
		return fmt.Errorf("the value must be true or false, got %q", value)
	}
	return nil
}

func checkBinary(value string) error {
	if _, err := base64.StdEncoding.DecodeString(value); err != nil {
		return errors.New("the value must be base64")
	}
	return nil
}
