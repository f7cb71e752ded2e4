package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/outboxkit/transactional-outbox/internal/description"
)

// Settings are what an outbox and its consumers left about themselves.
type Settings struct {
	Outbox    description.Outbox
	Consumers []description.Consumer // by the names of their parameters; may be none
	Unusable  []error                // why consumers are missing: their descriptions cannot be read
}

// Load reads the descriptions below the path "/outboxkit/<stack>/<outbox>/". A description of the outbox itself must be among
// them. A consumer whose description cannot be read is left out, and the settings say why.
func Load(ctx context.Context, parameters Parameters, path string) (Settings, error) {
	pages := ssm.NewGetParametersByPathPaginator(parameters, &ssm.GetParametersByPathInput{Path: &path, Recursive: aws.Bool(true)})
	values := map[string]string{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return Settings{}, fmt.Errorf("read the descriptions below %s: %w", path, err)
		}
		for _, p := range page.Parameters {
			values[aws.ToString(p.Name)] = aws.ToString(p.Value)
		}
	}
	var settings Settings
	path = strings.TrimSuffix(path, "/") + "/"
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := settings.add(strings.TrimPrefix(name, path), values[name]); err != nil {
			return Settings{}, fmt.Errorf("parameter %s: %w", name, err)
		}
	}
	if settings.Outbox.Version == "" {
		return Settings{}, fmt.Errorf("there must be a parameter %soutbox that describes the outbox, got none", path)
	}
	return settings, nil
}

// add adds the description in a parameter whose name, below the outbox's path, is "outbox" or "consumer/<id>".
func (s *Settings) add(name, value string) error {
	switch {
	case name == "outbox":
		return description.Decode(value, &s.Outbox)
	case strings.HasPrefix(name, "consumer/"):
		var c description.Consumer
		if err := description.Decode(value, &c); err != nil {
			s.Unusable = append(s.Unusable, fmt.Errorf("the parameter %s of a consumer: %w", name, err))
			return nil
		}
		s.Consumers = append(s.Consumers, c)
	}
	return nil
}
