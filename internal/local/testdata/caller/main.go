// Command caller is a function that calls services, those that the local run has and others, and says what came of it and
// which addresses it dialed.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

type answer struct {
	Results map[string]string // by the call: "ok", or the error
	Dialed  []string
}

var (
	mu     sync.Mutex
	dialed []string
)

// record notes each address before a connection is made.
func record(d *net.Dialer) {
	d.Control = func(_, address string, _ syscall.RawConn) error {
		mu.Lock()
		defer mu.Unlock()
		dialed = append(dialed, address)
		return nil
	}
}

func handle(ctx context.Context) (answer, error) {
	fmt.Printf(`{"_aws":{"Timestamp":%d,"CloudWatchMetrics":[{"Namespace":"Test","Dimensions":[["Function"]],"Metrics":[{"Name":"Calls","Unit":"Count"}]}]},"Function":"caller","Calls":1}`+"\n", time.Now().UnixMilli())
	client := awshttp.NewBuildableClient().WithDialerOptions(record)
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(client))
	if err != nil {
		return answer{}, err
	}
	results := map[string]string{}
	note := func(call string, err error) {
		results[call] = "ok"
		if err != nil {
			results[call] = err.Error()
		}
	}
	_, err = sts.NewFromConfig(cfg).GetCallerIdentity(ctx, nil)
	note("sts GetCallerIdentity", err)
	_, err = sts.NewFromConfig(cfg).AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::123456789012:role/x"), RoleSessionName: aws.String("y")})
	note("sts AssumeRole", err)
	_, err = ssm.NewFromConfig(cfg).GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String("/caller")})
	note("ssm GetParameter", err)
	_, err = iam.NewFromConfig(cfg).GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("x")})
	note("iam GetRole", err)
	note("s3 PutObject", send(ctx, cfg, client, "s3", http.MethodPut, "/bucket/key?x-id=PutObject", "", "secret"))
	note("sns CreateTopic", send(ctx, cfg, client, "sns", http.MethodPost, "/", "application/x-www-form-urlencoded", "Action=CreateTopic&Version=2010-03-31&Name=secret"))
	mu.Lock()
	defer mu.Unlock()
	return answer{results, dialed}, nil
}

// send makes the request that an SDK of a service would make that is not among ours.
func send(ctx context.Context, cfg aws.Config, client aws.HTTPClient, service, method, path, media, body string) error {
	r, err := http.NewRequestWithContext(ctx, method, os.Getenv("AWS_ENDPOINT_URL")+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", media)
	credentials, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	hash := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(ctx, credentials, r, hex.EncodeToString(hash[:]), service, cfg.Region, time.Now()); err != nil {
		return err
	}
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d %s", response.StatusCode, text)
	}
	return err
}

func main() { lambda.Start(handle) }
