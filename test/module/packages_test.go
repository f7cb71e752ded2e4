package module

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// TestShippingPackages: the example asks for the npm packages that this project is tested with.
func TestShippingPackages(t *testing.T) {
	type manifest struct {
		DevDependencies      map[string]string `json:"devDependencies"`
		OptionalDependencies map[string]string `json:"optionalDependencies"`
	}
	read := func(path ...string) (m manifest) {
		raw, err := os.ReadFile(filepath.Join(path...))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	ours, example := read("../../package.json"), read("../../examples/shipping/package.json")
	if !maps.Equal(ours.DevDependencies, example.DevDependencies) || !maps.Equal(ours.OptionalDependencies, example.OptionalDependencies) {
		t.Errorf("examples/shipping/package.json asks for %v, package.json for %v", example, ours)
	}
}
