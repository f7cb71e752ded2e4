package habits

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// The CDK ignores a flag that it does not know without a word, and prints a line at each synth while a flag that
// it recommends is not set.
func TestFeatureFlagsAreThoseOfThePinnedCDK(t *testing.T) {
	recommended := recommendedFlags(t)
	for _, file := range []string{"cdk.json", "examples/shipping/cdk.json"} {
		var config struct{ Context map[string]any }
		if err := json.Unmarshal(read(t, file), &config); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for flag, value := range config.Context {
			if want, known := recommended[flag]; !known {
				t.Errorf("%s: %s must be a flag that the pinned awscdk recommends", file, flag)
			} else if !reflect.DeepEqual(value, want) {
				t.Errorf("%s: %s must be %v, as the pinned awscdk recommends, got %v", file, flag, want, value)
			}
		}
		for flag, value := range recommended {
			if _, set := config.Context[flag]; !set {
				t.Errorf("%s must set %s to %v, as the pinned awscdk recommends", file, flag, value)
			}
		}
	}
}

// recommendedFlags returns the flags that the aws-cdk-lib in the Go module recommends for a new app.
func recommendedFlags(t *testing.T) map[string]any {
	t.Helper()
	module := strings.TrimSpace(run(t, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-cdk-go/awscdk/v2"))
	archives, err := filepath.Glob(filepath.Join(module, "jsii", "aws-cdk-lib-*.tgz"))
	if err != nil || len(archives) != 1 {
		t.Fatalf("the module must carry one aws-cdk-lib, got %v (%v)", archives, err)
	}
	file, err := os.Open(archives[0])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	files := tar.NewReader(unzipped)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			t.Fatalf("%s has no recommended-feature-flags.json", archives[0])
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Name != "package/recommended-feature-flags.json" {
			continue
		}
		var flags map[string]any
		if err := json.NewDecoder(files).Decode(&flags); err != nil {
			t.Fatal(err)
		}
		return flags
	}
}
