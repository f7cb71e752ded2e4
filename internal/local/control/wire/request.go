package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// maxBody limits the bytes of a request: an invocation of a function has the largest, of 6 MB.
const maxBody = 8 << 20

// A Protocol is how a request and its answer are written.
type Protocol int

// The protocols.
const (
	RESTJSON Protocol = iota
	RESTXML
	JSON
	CBOR
	Query
	EC2Query
)

// A Request is a request to an AWS API.
type Request struct {
	*http.Request
	// Service is the name of the service as signatures have it, for example "monitoring". It is empty for a request
	// that is not signed and names its service in no other way.
	Service string
	// Operation is the operation's name. For a REST API it is the method and the path, except where the client names it.
	Operation string
	Protocol  Protocol
	// Signed reports that the request has an Authorization header of AWS's: a browser's page cannot set one.
	Signed bool
	Body   []byte
}

// Read reads a request. Its error means that the body is too large or that the client is gone.
func Read(w http.ResponseWriter, r *http.Request) (*Request, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	request := &Request{Request: r, Body: body}
	request.Service, request.Signed = signedFor(r)
	request.Protocol = protocol(r, request.Service)
	request.nameOperation()
	return request, nil
}

// signedFor returns the service in the scope of the signature's credential, and whether a header has it. A presigned URL
// has it in its query.
// Source: IAM user guide, reference_sigv-create-signed-request, "Add the signature to the request".
func signedFor(r *http.Request) (service string, header bool) {
	credential, signed := r.URL.Query().Get("X-Amz-Credential"), false
	if authorization := r.Header.Get("Authorization"); strings.HasPrefix(authorization, "AWS4-") {
		_, after, _ := strings.Cut(authorization, "Credential=")
		credential, _, _ = strings.Cut(after, ",")
		signed = true
	}
	// <key>/<date>/<region>/<service>/aws4_request; signature version 4a has no region.
	scope := strings.Split(credential, "/")
	if len(scope) < 2 {
		return "", signed
	}
	return strings.ToLower(scope[len(scope)-2]), signed
}

// restXML holds the services whose REST API answers in XML.
var restXML = map[string]bool{"s3": true, "s3express": true, "s3-outposts": true, "cloudfront": true, "route53": true}

func protocol(r *http.Request, service string) Protocol {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.Header.Get("Smithy-Protocol") == "rpc-v2-cbor":
		return CBOR
	case r.Header.Get("X-Amz-Target") != "":
		return JSON
	case restXML[service]:
		return RESTXML
	case media == formType && service == "ec2":
		return EC2Query
	case media == formType:
		return Query
	}
	return RESTJSON
}

const formType = "application/x-www-form-urlencoded"

// targets holds the services by what their operations' names begin with in X-Amz-Target, for a request without a signature.
var targets = map[string]string{
	"AmazonSSM": "ssm", "AWSEvents": "events", "AmazonSQS": "sqs", "GraniteServiceVersion20100801": "monitoring",
	"DynamoDB_20120810": "dynamodb", "DynamoDBStreams_20120810": "dynamodb",
}

func (r *Request) nameOperation() {
	switch r.Protocol {
	case CBOR:
		// /service/<service shape>/operation/<operation>
		// Source: Smithy, RPC v2 CBOR protocol, "Requests".
		parts := strings.Split(r.URL.Path, "/")
		r.Operation = parts[len(parts)-1]
	case JSON:
		var prefix string
		prefix, r.Operation, _ = strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		if r.Service == "" {
			r.Service = targets[prefix]
		}
	case Query, EC2Query:
		form, _ := url.ParseQuery(string(r.Body))
		r.Operation = form.Get("Action")
	case RESTJSON, RESTXML:
		r.Operation = r.URL.Query().Get("x-id") // the SDKs' hint
		if r.Operation == "" {
			r.Operation = r.Method + " " + r.URL.Path
		}
	}
}

// Decode reads the parameters into a struct whose fields are named as the API's. In the Query protocol all values are texts:
// numbers, booleans and times need the types [Number], [Bool] and [Time].
func (r *Request) Decode(into any) error {
	body := r.Body
	switch r.Protocol {
	case Query, EC2Query:
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return malformed(err)
		}
		body, err = json.Marshal(nest(form))
		if err != nil {
			return malformed(err)
		}
	case CBOR:
		value, err := fromCBOR(body)
		if err != nil {
			return malformed(err)
		}
		if body, err = json.Marshal(value); err != nil {
			return malformed(err)
		}
	case JSON, RESTJSON, RESTXML:
		if len(body) == 0 {
			return nil
		}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return malformed(err)
	}
	return nil
}

func malformed(err error) error {
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	return &Error{Status: http.StatusBadRequest, Code: "SerializationException", Message: err.Error()}
}

// nest returns the form's parameters as a tree: "Dimensions.member.1.Name" is the Name of the first of the Dimensions, and
// "MessageAttributes.entry.1.Value.DataType" the DataType of the one that "MessageAttributes.entry.1.Name" names. Empty values are left out: an empty list has one too.
// Source: Smithy, AWS Query protocol, "Query key resolution".
func nest(form url.Values) any {
	root := map[string]any{}
	for name, values := range form {
		if values[0] == "" {
			continue // an empty text, or an empty list
		}
		at := root
		parts := strings.Split(name, ".")
		for _, part := range parts[:len(parts)-1] {
			inner, ok := at[part].(map[string]any)
			if !ok {
				inner = map[string]any{}
				at[part] = inner
			}
			at = inner
		}
		at[parts[len(parts)-1]] = values[0]
	}
	return collections(root)
}

// collections replaces {"member": {"1": a, "2": b}} by [a, b] and {"entry": {"1": {"Name": a, "Value": b}}} by {a: b},
// everywhere in the tree.
func collections(value any) any {
	tree, ok := value.(map[string]any)
	if !ok {
		return value
	}
	if len(tree) == 1 {
		if members, ok := tree["member"].(map[string]any); ok {
			return numbered(members)
		}
		if entries, ok := tree["entry"].(map[string]any); ok {
			return named(numbered(entries))
		}
	}
	for name, inner := range tree {
		tree[name] = collections(inner)
	}
	return tree
}

// numbered returns the values of the names "1", "2" and so on.
func numbered(members map[string]any) []any {
	list := []any{}
	for i := 1; ; i++ {
		inner, ok := members[fmt.Sprint(i)]
		if !ok {
			return list
		}
		list = append(list, collections(inner))
	}
}

// named returns the values of the entries of a map, by their names. SNS calls these Name and Value.
func named(entries []any) map[string]any {
	all := map[string]any{}
	for _, one := range entries {
		entry, _ := one.(map[string]any)
		if name, ok := entry["Name"].(string); ok {
			all[name] = entry["Value"]
		}
	}
	return all
}

// Reread returns the body anew, to pass it on.
func (r *Request) Reread() io.ReadCloser { return io.NopCloser(bytes.NewReader(r.Body)) }
