package control

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/control/wire"
	"github.com/outboxkit/transactional-outbox/internal/local/functions"
	"github.com/outboxkit/transactional-outbox/internal/local/metrics"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// A functionAPI answers for Lambda.
type functionAPI struct {
	cloud    *cloud.Cloud
	host     metrics.Invoke
	mappings Mappings
	async    func(arn string, payload []byte) error
	life     context.Context // of the invocations that somebody waits for

	mu       sync.RWMutex
	all      []functionConfiguration
	versions map[string]string // of versions and aliases, by ARN
}

// routes returns the API. Source: Lambda API reference.
func (f *functionAPI) routes() routes {
	const root = "/2015-03-31/"
	return newRoutes(map[string]route{
		"POST " + root + "functions/{FunctionName}/invocations":  f.invoke,
		"GET " + root + "functions/{$}":                          answering(f.list),
		"GET " + root + "functions":                              answering(f.list),
		"GET " + root + "functions/{FunctionName}":               answering(f.get),
		"GET " + root + "functions/{FunctionName}/configuration": answering(f.configuration),
		"GET " + root + "event-source-mappings/{$}":              answering(f.listMappings),
		"GET " + root + "event-source-mappings":                  answering(f.listMappings),
		"GET " + root + "event-source-mappings/{UUID}":           answering(f.getMapping),
		"PUT " + root + "event-source-mappings/{UUID}":           answering(f.updateMapping),
	})
}

// A functionConfiguration describes a function as its template declares it.
type functionConfiguration struct {
	FunctionName, FunctionArn        string
	Runtime, Handler, Role           string
	Description, PackageType         string
	MemorySize, Timeout              int
	Version, State, LastUpdateStatus string
	Environment                      *functionEnvironment
	Architectures                    []string
}

type functionEnvironment struct{ Variables map[string]string }

func (f *functionAPI) deployed(d *template.Deployment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all, f.versions = nil, map[string]string{}
	for _, r := range d.Resources {
		switch r.Type {
		case "AWS::Lambda::Version":
			f.versions[r.Ref] = r.GetAtt["Version"]
			continue
		case "AWS::Lambda::Alias":
			f.versions[r.Ref], _ = r.Properties["FunctionVersion"].(string)
			continue
		case "AWS::Lambda::Function":
		default:
			continue
		}
		var p struct {
			Runtime, Handler, Role, Description string
			MemorySize, Timeout                 template.Int
			Environment                         *functionEnvironment
			Architectures                       []string
		}
		raw, _ := json.Marshal(r.Properties)
		_ = json.Unmarshal(raw, &p) // the host has accepted these properties
		one := functionConfiguration{
			FunctionName: r.Ref, FunctionArn: r.GetAtt["Arn"], Runtime: p.Runtime, Handler: p.Handler, Role: p.Role,
			Description: p.Description, PackageType: "Zip", MemorySize: 128, Timeout: 3, // Lambda's defaults
			Version: "$LATEST", State: "Active", LastUpdateStatus: "Successful", Environment: p.Environment, Architectures: p.Architectures,
		}
		if p.MemorySize > 0 {
			one.MemorySize = int(p.MemorySize)
		}
		if p.Timeout > 0 {
			one.Timeout = int(p.Timeout)
		}
		f.all = append(f.all, one)
	}
}

// arn returns the ARN of the function, version or alias that a request names.
func (f *functionAPI) arn(r *wire.Request) string {
	name := r.PathValue("FunctionName")
	if qualifier := r.URL.Query().Get("Qualifier"); qualifier != "" {
		name += ":" + qualifier
	}
	return f.cloud.FunctionARN(name)
}

type functionList struct{ Functions []functionConfiguration }

func (f *functionAPI) list(*wire.Request) (any, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return functionList{append([]functionConfiguration{}, f.all...)}, nil
}

func (f *functionAPI) configuration(r *wire.Request) (any, error) {
	qualified := f.arn(r)
	arn, qualifier := cloud.CutQualifier(qualified)
	f.mu.RLock()
	defer f.mu.RUnlock()
	version, known := f.versions[qualified]
	for _, one := range f.all {
		if one.FunctionArn == arn && (known || qualifier == "") {
			if known {
				one.FunctionArn, one.Version = qualified, version
			}
			return one, nil
		}
	}
	return nil, noFunction(qualified)
}

// version returns the version that an ARN names.
func (f *functionAPI) version(arn string) string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if version, known := f.versions[arn]; known {
		return version
	}
	return "$LATEST"
}

func noFunction(arn string) error {
	return &wire.Error{Status: http.StatusNotFound, Code: "ResourceNotFoundException", Message: "Function not found: " + arn}
}

type functionDetail struct{ Configuration any }

func (f *functionAPI) get(r *wire.Request) (any, error) {
	one, err := f.configuration(r)
	return functionDetail{one}, err
}

// invoke runs a function. Source: Lambda API reference, Invoke.
func (f *functionAPI) invoke(w http.ResponseWriter, r *wire.Request) error {
	arn := f.arn(r)
	if len(r.Body) > 0 && !json.Valid(r.Body) {
		return &wire.Error{Status: http.StatusBadRequest, Code: "InvalidRequestContentException", Message: "Could not parse request body into json"}
	}
	switch kind := r.Header.Get("X-Amz-Invocation-Type"); kind {
	case "", "RequestResponse":
		return f.invokeNow(w, r, arn)
	case "Event", "DryRun":
		if _, err := f.configuration(r); err != nil {
			return err
		}
		status := http.StatusNoContent
		if kind == "Event" {
			status = http.StatusAccepted
			if err := f.async(arn, payload(r)); err != nil {
				return &wire.Error{Status: http.StatusInternalServerError, Code: "ServiceException", Message: err.Error()}
			}
		}
		w.WriteHeader(status)
		return nil
	default:
		return invalid("InvocationType must be RequestResponse, Event or DryRun, got %q", kind)
	}
}

// payload returns the event of an invocation. Lambda takes none for an empty object.
func payload(r *wire.Request) []byte {
	if len(r.Body) == 0 {
		return []byte("{}")
	}
	return r.Body
}

// invokeNow runs a function and answers with what it returns. It goes on when the caller goes away.
func (f *functionAPI) invokeNow(w http.ResponseWriter, r *wire.Request, arn string) error {
	response, err := f.host(f.life, arn, payload(r))
	var failed *functions.FunctionError
	switch {
	case errors.As(err, &failed):
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
		if r.Header.Get("X-Amz-Log-Type") == "Tail" {
			w.Header().Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString([]byte(failed.LogTail)))
		}
		response, _ = json.Marshal(map[string]string{"errorMessage": failed.Message, "errorType": failed.Type})
	case errors.Is(err, functions.ErrNotFound):
		return noFunction(arn)
	case errors.Is(err, functions.ErrThrottled):
		return &wire.Error{Status: http.StatusTooManyRequests, Code: "TooManyRequestsException", Message: "Rate Exceeded."}
	case errors.Is(err, functions.ErrRequestTooLarge):
		return &wire.Error{Status: http.StatusRequestEntityTooLarge, Code: "RequestTooLargeException", Message: err.Error()}
	case err != nil:
		return &wire.Error{Status: http.StatusInternalServerError, Code: "ServiceException", Message: err.Error()}
	}
	w.Header().Set("X-Amz-Executed-Version", f.version(arn))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(response)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(response) // the caller may be gone
	return nil
}
