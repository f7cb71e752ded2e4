// Package transform fills in the input templates of pipes and of rules, which hold variables such as <$.detail.id> or
// <aws.events.rule-name>, and follows the JSON paths that both have.
//
// Which variables there are is up to the caller. A variable in a JSON document becomes a JSON value, one inside a JSON
// string or in free text becomes text.
package transform
