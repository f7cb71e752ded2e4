package wire

import (
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// mediaTypes holds the media types of the protocols' requests. What SDKs send with the REST APIs depends on the operation:
// the payload of an invocation is application/octet-stream or has no type.
// Source: Smithy, AWS JSON 1.0 and 1.1, AWS restJson1, AWS Query and RPC v2 CBOR protocols.
var mediaTypes = map[Protocol][]string{
	JSON: {"application/x-amz-json-1.0", "application/x-amz-json-1.1"}, CBOR: {"application/cbor"},
	Query: {formType}, EC2Query: {formType},
	RESTJSON: {"application/json", "application/octet-stream", ""},
}

// CheckForm returns an error when the request has not the method and the media type of its protocol: a page in a browser
// may send other types without asking first. What it may send too, a form and a request without a type, must be signed, and
// no page can do that.
func (r *Request) CheckForm() error {
	types, known := mediaTypes[r.Protocol]
	if !known {
		return nil // no API in XML is answered
	}
	given := r.Header.Get("Content-Type")
	media, _, err := mime.ParseMediaType(given)
	switch {
	case r.Protocol != RESTJSON && r.Method != http.MethodPost:
		return refused("the method must be POST, got %s", r.Method)
	case given != "" && err != nil || !slices.Contains(types, media):
		return refused("Content-Type must be %s, got %q", strings.TrimSuffix(strings.Join(types, " or "), " or "), given)
	}
	return nil
}

func refused(format string, args ...any) error {
	return &Error{Status: http.StatusForbidden, Code: "AccessDeniedException", Message: "refused by the local run: " + fmt.Sprintf(format, args...)}
}
