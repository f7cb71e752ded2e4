package audit

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/outboxkit/transactional-outbox/internal/description"
)

// Settings are what an outbox and its consumers left about themselves.
type Settings struct {
	Outbox    description.Outbox
	Consumers []description.Consumer // may be none
}

// Load reads the descriptions below the path "/outboxkit/<stack>/<outbox>/". Its error names each parameter that cannot be
// read; a description of the outbox itself must be among them.
func Load(ctx context.Context, parameters Parameters, path string) (Settings, error) {
	pages := ssm.NewGetParametersByPathPaginator(parameters, &ssm.GetParametersByPathInput{Path: &path, Recursive: aws.Bool(true)})
	var settings Settings
	var problems []error
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return Settings{}, fmt.Errorf("read the descriptions below %s: %w", path, err)
		}
		for _, p := range page.Parameters {
			if err := settings.add(strings.TrimPrefix(aws.ToString(p.Name), strings.TrimSuffix(path, "/")+"/"), aws.ToString(p.Value)); err != nil {
				problems = append(problems, fmt.Errorf("parameter %s: %w", aws.ToString(p.Name), err))
			}
		}
	}
	if settings.Outbox.Version == "" && len(problems) == 0 {
		problems = append(problems, fmt.Errorf("there must be a parameter %s/outbox that describes the outbox, got none", strings.TrimSuffix(path, "/")))
	}
	return settings, errors.Join(problems...)
}

// add adds the description in a parameter whose name, below the outbox's path, is "outbox" or "consumer/<id>".
func (s *Settings) add(name, value string) error {
	switch {
	case name == "outbox":
		return description.Decode(value, &s.Outbox)
	case strings.HasPrefix(name, "consumer/"):
		var c description.Consumer
		if err := description.Decode(value, &c); err != nil {
			return err
		}
		s.Consumers = append(s.Consumers, c)
	}
	return nil
}
