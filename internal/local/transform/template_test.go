package transform

import (
	"strings"
	"testing"
)

// Text inside a JSON string is escaped, unless the syntax leaves it as it is; a JSON value is quoted either way.
func TestTextInsideAString(t *testing.T) {
	for verbatim, want := range map[bool]string{
		false: `{"a": "say \"hi\"", "b": "x \"y\" z"}`,
		true:  `{"a": "say "hi"", "b": "x \"y\" z"}`,
	} {
		template, err := Compile(`{"a": "say <quoted>", "b": <text>}`, Syntax[map[string]any]{
			IsVariable: func(name string) bool { return name == "quoted" || name == "text" },
			Compile: func(name string) (Variable[map[string]any], error) {
				return func(e map[string]any) (any, bool) { v, ok := e[name]; return v, ok }, nil
			},
			Verbatim: verbatim,
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := template.Render(map[string]any{"quoted": `"hi"`, "text": `x "y" z`}); got != want {
			t.Errorf("verbatim %v: %s, want %s", verbatim, got, want)
		}
	}
}

func TestPath(t *testing.T) {
	event := map[string]any{"detail": map[string]any{"list": []any{map[string]any{"n": "1"}, map[string]any{"n": "2"}}}}
	for path, want := range map[string]string{
		"$.detail.list[1].n": "2", "$.detail.list[*].n": `["1","2"]`, "$.detail.list[2].n": "missing", "$.other": "missing",
		"$.a..b": "must be $", "detail": "must be $", "$['detail']": "must be $",
	} {
		compiled, err := CompilePath(path)
		got := "missing"
		if err != nil {
			got = err.Error()
		} else if value, found := compiled.Find(event); found {
			got = Text(value)
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
