package smoke

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
)

// A Web sends signed HTTP requests: to an API behind API Gateway, and to SNS, for which two requests need no client.
type Web struct {
	Config aws.Config
	Client http.Client
}

// webTimeout is how long one request may take: API Gateway's own limit is 29 seconds.
// Source: API Gateway developer guide, "Quotas for configuring and running a REST API".
const webTimeout = 35 * time.Second

// An answer is the answer to a request.
type answer struct {
	status int
	body   string
	header http.Header
}

// code returns the code of an error's body, and "" where it is not the JSON that every error has.
func (a answer) code() string {
	var problem struct {
		Error struct{ Code, Message string }
	}
	if json.Unmarshal([]byte(a.body), &problem) != nil || problem.Error.Message == "" {
		return ""
	}
	return problem.Error.Code
}

// short returns the answer for a report.
func (a answer) short() string {
	body := a.body
	if runes := []rune(body); len(runes) > 200 {
		body = string(runes[:200]) + "…"
	}
	return fmt.Sprintf("%d `%s`", a.status, strings.TrimSpace(body))
}

// send sends a request, signed for the service.
func (w *Web) send(ctx context.Context, service, method, address, body string, headers map[string]string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, webTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader([]byte(body)))
	if err != nil {
		return answer{}, err
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	keys, err := w.Config.Credentials.Retrieve(ctx)
	if err != nil {
		return answer{}, fmt.Errorf("sign a request: %w", err)
	}
	hash := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(ctx, keys, r, hex.EncodeToString(hash[:]), service, w.Config.Region, time.Now()); err != nil {
		return answer{}, fmt.Errorf("sign a request: %w", err)
	}
	got, err := w.Client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer got.Body.Close()
	read, err := io.ReadAll(got.Body)
	return answer{got.StatusCode, string(read), got.Header}, err
}

// sns sends a request of SNS's query protocol, and returns the text of the answer's element.
// Source: SNS API reference, "Common Parameters".
func (w *Web) sns(ctx context.Context, element string, parameters url.Values) (string, error) {
	parameters.Set("Version", "2010-03-31")
	address := cmp.Or(aws.ToString(w.Config.BaseEndpoint), "https://sns."+w.Config.Region+"."+suffix(w.Config.Region)) + "/"
	got, err := w.send(ctx, "sns", http.MethodPost, address, parameters.Encode(), map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
	if err != nil {
		return "", err
	}
	if got.status != http.StatusOK {
		return "", &smithy.GenericAPIError{Code: cmp.Or(textOfElement(got.body, "Code"), fmt.Sprint(got.status)), Message: cmp.Or(textOfElement(got.body, "Message"), got.body)}
	}
	return textOfElement(got.body, element), nil
}

// suffix returns the domain of a Region's services. Source: AWS General Reference, "AWS service endpoints".
func suffix(region string) string {
	if strings.HasPrefix(region, "cn-") {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

// textOfElement returns the text of the first element with the name.
func textOfElement(document, name string) string {
	for dec := xml.NewDecoder(strings.NewReader(document)); ; {
		token, err := dec.Token()
		if err != nil {
			return ""
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == name {
			var text string
			_ = dec.DecodeElement(&text, &start)
			return text
		}
	}
}
