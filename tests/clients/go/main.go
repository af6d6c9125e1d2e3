// Runs cases with the AWS SDK for Go v2: a job on standard input, one line of JSON for each case on
// standard output. See ../README.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
)

type job struct {
	Region      string
	Credentials map[string]struct{ ID, Secret string }
	Cases       []testCase
}

type testCase struct {
	Case        string
	EndpointURL string `json:"endpoint_url"`
	As          string
	Call        string
	Arguments   json.RawMessage
	Pause       float64
	Save        map[string]string
}

type report struct {
	Case     string          `json:"case"`
	Outcome  string          `json:"outcome"`
	Result   json.RawMessage `json:"result,omitempty"`
	Code     string          `json:"code,omitempty"`
	Type     string          `json:"type,omitempty"`
	Message  string          `json:"message,omitempty"`
	Attempts int             `json:"attempts,omitempty"`
}

const timeout = 30 * time.Second

func main() {
	var work job
	must(json.NewDecoder(os.Stdin).Decode(&work))
	clients := map[[2]string]*kinesis.Client{}
	saved := map[string]string{}
	out := json.NewEncoder(os.Stdout)
	for _, c := range work.Cases {
		time.Sleep(time.Duration(c.Pause * float64(time.Second)))
		key := [2]string{c.EndpointURL, c.As}
		if clients[key] == nil {
			clients[key] = client(work, c)
		}
		result, err := call(clients[key], c, saved)
		must(out.Encode(describe(c, result, err, saved)))
	}
}

func client(work job, c testCase) *kinesis.Client {
	key := work.Credentials[c.As]
	options := kinesis.Options{
		Region:      work.Region,
		Credentials: credentials.NewStaticCredentialsProvider(key.ID, key.Secret, ""),
	}
	// Without a key in the job, a process provides credentials.
	if key.ID == "" {
		process := processcreds.NewProvider(os.Getenv("CREDENTIAL_PROCESS"))
		options.Credentials = aws.NewCredentialsCache(process)
	}
	if c.EndpointURL != "" {
		options.BaseEndpoint = aws.String(c.EndpointURL)
	}
	return kinesis.New(options)
}

// call finds the operation by name and fills its input from JSON, whose members have the names of the API.
func call(client *kinesis.Client, c testCase, saved map[string]string) (any, error) {
	text := string(c.Arguments)
	for name, value := range saved {
		text = strings.ReplaceAll(text, `"$`+name+`"`, string(encode(value)))
	}
	method := reflect.ValueOf(client).MethodByName(c.Call)
	if !method.IsValid() {
		return nil, fmt.Errorf("no operation %s", c.Call)
	}
	input := reflect.New(method.Type().In(1).Elem())
	if err := json.Unmarshal([]byte(text), input.Interface()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	results := method.Call([]reflect.Value{reflect.ValueOf(ctx), input})
	if err, isError := results[1].Interface().(error); isError {
		return nil, err
	}
	if subscription, isStream := results[0].Interface().(*kinesis.SubscribeToShardOutput); isStream {
		return firstRecords(ctx, subscription.GetStream())
	}
	return results[0].Interface(), nil
}

func firstRecords(ctx context.Context, stream *kinesis.SubscribeToShardEventStream) (any, error) {
	defer stream.Close()
	for {
		select {
		case event, open := <-stream.Events():
			if !open {
				return nil, errors.Join(errors.New("the stream ended without a record"), stream.Err())
			}
			shard, isEvent := event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent)
			if isEvent && len(shard.Value.Records) > 0 {
				return shard.Value, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func describe(c testCase, result any, err error, saved map[string]string) report {
	if err == nil {
		body := encode(result)
		for name, path := range c.Save {
			saved[name] = follow(body, path)
		}
		return report{Case: c.Case, Outcome: "ok", Result: body}
	}
	outcome := report{Case: c.Case, Outcome: "error", Type: fmt.Sprintf("%T", err), Message: err.Error(), Attempts: 1}
	if exhausted := (*retry.MaxAttemptsError)(nil); errors.As(err, &exhausted) {
		outcome.Attempts = exhausted.Attempt
	}
	if denied := smithy.APIError(nil); errors.As(err, &denied) {
		outcome.Code, outcome.Message = denied.ErrorCode(), denied.ErrorMessage()
		outcome.Type = strings.TrimPrefix(fmt.Sprintf("%T", denied), "*types.")
		if outcome.Code == "AccessDeniedException" {
			outcome.Outcome = "denied"
		}
	}
	return outcome
}

func follow(body []byte, path string) string {
	var at any
	must(json.Unmarshal(body, &at))
	for _, member := range strings.Split(path, ".") {
		object, _ := at.(map[string]any)
		at = object[member]
	}
	text, _ := at.(string)
	return text
}

func encode(value any) []byte {
	text, err := json.Marshal(value)
	must(err)
	return text
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}
