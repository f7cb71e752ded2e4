package wire

import (
	"bytes"
	"errors"
	"net/http"
	"reflect"
	"strconv"

	"github.com/aws/smithy-go/encoding/cbor"
	"github.com/google/uuid"
)

// An Error is an error of AWS's form.
type Error struct {
	Status  int
	Code    string
	Message string
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Answer writes the answer to a request: a struct, or nil for an empty answer.
func (r *Request) Answer(w http.ResponseWriter, answer any) {
	var content any = object{}
	if answer != nil {
		content = tree(reflect.ValueOf(answer))
	}
	var body []byte
	switch r.Protocol {
	case Query, EC2Query:
		body = r.queryResult(content)
	case CBOR:
		body = cbor.Encode(toCBOR(content))
	case JSON, RESTJSON, RESTXML:
		body = marshal(content)
	}
	r.write(w, http.StatusOK, uuid.NewString(), body)
}

// Fail writes an error. One that is no *Error is an internal failure.
func (r *Request) Fail(w http.ResponseWriter, err error) {
	var failure *Error
	if !errors.As(err, &failure) {
		failure = &Error{http.StatusInternalServerError, "InternalFailure", err.Error()}
	}
	id := uuid.NewString()
	typed := object{{"__type", failure.Code}, {"message", failure.Message}}
	var body []byte
	switch r.Protocol {
	case Query:
		body = queryError(failure, id)
	case EC2Query:
		body = xmlDocument(object{{"Response", object{
			{"Errors", object{{"Error", object{{"Code", failure.Code}, {"Message", failure.Message}}}}}, {"RequestID", id},
		}}})
	case RESTXML:
		body = xmlDocument(object{{"Error", object{{"Code", failure.Code}, {"Message", failure.Message}, {"RequestId", id}}}})
	case CBOR:
		body = cbor.Encode(toCBOR(typed))
	case JSON, RESTJSON:
		w.Header().Set("X-Amzn-Errortype", failure.Code)
		body = marshal(typed)
	}
	r.write(w, failure.Status, id, body)
}

func (r *Request) write(w http.ResponseWriter, status int, id string, body []byte) {
	w.Header().Set("X-Amzn-Requestid", id)
	w.Header().Set("Content-Type", r.contentType())
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if r.Protocol == CBOR {
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}

func (r *Request) contentType() string {
	switch r.Protocol {
	case Query, EC2Query:
		return "text/xml"
	case RESTXML:
		return "application/xml"
	case CBOR:
		return "application/cbor"
	case JSON:
		return r.Header.Get("Content-Type") // "application/x-amz-json-1.0" or -1.1
	case RESTJSON:
	}
	return "application/json"
}

// namespaces are the XML namespaces of the APIs with the Query protocol.
var namespaces = map[string]string{
	"cloudformation": "http://cloudformation.amazonaws.com/doc/2010-05-15/",
	"monitoring":     "http://monitoring.amazonaws.com/doc/2010-08-01/",
	"sns":            "http://sns.amazonaws.com/doc/2010-03-31/",
	"sts":            "https://sts.amazonaws.com/doc/2011-06-15/",
}

func (r *Request) queryResult(content any) []byte {
	var b bytes.Buffer
	b.WriteString("<" + r.Operation + `Response xmlns="` + namespaces[r.Service] + `">`)
	element(&b, r.Operation+"Result", content)
	element(&b, "ResponseMetadata", object{{"RequestId", uuid.NewString()}})
	b.WriteString("</" + r.Operation + "Response>")
	return b.Bytes()
}

func queryError(failure *Error, id string) []byte {
	fault := "Sender"
	if failure.Status >= http.StatusInternalServerError {
		fault = "Receiver"
	}
	return xmlDocument(object{{"ErrorResponse", object{
		{"Error", object{{"Type", fault}, {"Code", failure.Code}, {"Message", failure.Message}}}, {"RequestId", id},
	}}})
}

func xmlDocument(content object) []byte {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	toXML(&b, content)
	return b.Bytes()
}
