package eventbus

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/schedule"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

const (
	// defaultGroup exists in every account.
	defaultGroup = "default"
	// maxTimeWindow is the longest flexible time window, in minutes. Source: EventBridge Scheduler API reference, FlexibleTimeWindow.
	maxTimeWindow = 1440
)

// scheduleName is the syntax of the names of schedules and groups.
// Source: EventBridge Scheduler API reference, CreateSchedule and CreateScheduleGroup.
var scheduleName = regexp.MustCompile(`^[0-9a-zA-Z\-_.]{1,64}$`)

// A timer is a schedule of EventBridge Scheduler: it invokes its target when it is due.
type timer struct {
	logicalID string
	arn       string
	group     string
	enabled   bool
	cadence
	window time.Duration // within which it invokes the target; 0: at once
	target target
}

// timerProperties are the properties of AWS::Scheduler::Schedule.
type timerProperties struct {
	Name                       string
	GroupName                  string
	ScheduleExpression         string
	ScheduleExpressionTimezone string
	StartDate, EndDate         string
	State                      string
	ActionAfterCompletion      string // a schedule that is complete does nothing, whether it is deleted or not
	FlexibleTimeWindow         struct {
		Mode                   string
		MaximumWindowInMinutes *template.Int
	}
	Target timerTarget

	Description template.Ignored
	KmsKeyArn   template.Ignored
}

// provisionTimerGroup keeps an AWS::Scheduler::ScheduleGroup.
func (s *Service) provisionTimerGroup(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		Name string
		Tags template.Ignored
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	if p.Name == "" {
		p.Name = r.PhysicalName
	}
	if !scheduleName.MatchString(p.Name) || p.Name == defaultGroup {
		return template.Attributes{}, fmt.Errorf("Name must be 1 to 64 letters, digits, dots, dashes and underscores, and not %q, got %q", defaultGroup, p.Name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timerGroups[p.Name] = true
	return template.Attributes{Ref: p.Name, GetAtt: map[string]string{"Arn": s.cloud.ARN("scheduler", "schedule-group/"+p.Name), "State": "ACTIVE"}}, nil
}

// provisionTimer keeps an AWS::Scheduler::Schedule for [Service.Run].
func (s *Service) provisionTimer(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p timerProperties
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	if p.Name == "" {
		p.Name = r.PhysicalName
	}
	if p.GroupName == "" {
		p.GroupName = defaultGroup
	}
	made := &timer{
		logicalID: r.LogicalID, group: p.GroupName, arn: s.cloud.ARN("scheduler", "schedule/"+p.GroupName+"/"+p.Name), enabled: p.State != stateDisabled,
	}
	created, isNew, err := s.creation(made.arn, p.ScheduleExpression)
	if err != nil {
		return template.Attributes{}, err
	}
	if err := errors.Join(p.validate(), made.setTimes(p, created, isNew), made.setTarget(p.Target, s.cloud)); err != nil {
		return template.Attributes{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timers = append(s.timers, made)
	return template.Attributes{Ref: p.Name, GetAtt: map[string]string{"Arn": made.arn}}, nil
}

// creation returns when a schedule with that expression was made, and whether it is made now: a rate counts from then on.
func (s *Service) creation(arn, expression string) (at time.Time, isNew bool, err error) {
	found, err := s.creations.Load(arn, expression, &at)
	if err != nil || found {
		return at, false, err
	}
	at = s.clock.Now()
	return at, true, s.creations.Save(arn, expression, at)
}

// validate returns an error that names everything that is wrong with the properties that stand alone.
// Source: EventBridge Scheduler API reference, CreateSchedule.
func (p timerProperties) validate() error {
	var problems []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	require(scheduleName.MatchString(p.Name), "Name must be 1 to 64 letters, digits, dots, dashes and underscores, got %q", p.Name)
	require(p.State == "" || p.State == stateEnabled || p.State == stateDisabled, "State must be %s or %s, got %q", stateEnabled, stateDisabled, p.State)
	require(p.ActionAfterCompletion == "" || p.ActionAfterCompletion == "NONE" || p.ActionAfterCompletion == "DELETE",
		"ActionAfterCompletion must be NONE or DELETE, got %q", p.ActionAfterCompletion)
	window := p.FlexibleTimeWindow
	switch n := window.MaximumWindowInMinutes; window.Mode {
	case "OFF":
		require(n == nil, "FlexibleTimeWindow: MaximumWindowInMinutes must be empty, because Mode is OFF")
	case "FLEXIBLE":
		require(n != nil && *n >= 1 && *n <= maxTimeWindow, "FlexibleTimeWindow: MaximumWindowInMinutes must be a whole number from 1 to %d, because Mode is FLEXIBLE", maxTimeWindow)
	default:
		require(false, "FlexibleTimeWindow: Mode must be OFF or FLEXIBLE, got %q", window.Mode)
	}
	return errors.Join(problems...)
}

// setTimes sets when the schedule is due. A new rate without a start is due at once.
// Source: EventBridge Scheduler user guide, schedule-types.
func (t *timer) setTimes(p timerProperties, created time.Time, isNew bool) error {
	zone, err := time.LoadLocation(p.ScheduleExpressionTimezone) // "" is UTC
	if err != nil || p.ScheduleExpressionTimezone == "Local" {
		return fmt.Errorf("ScheduleExpressionTimezone must be a time zone such as Europe/Berlin, got %q", p.ScheduleExpressionTimezone)
	}
	times, err := schedule.ParseIn(p.ScheduleExpression, zone)
	if err != nil {
		return fmt.Errorf("ScheduleExpression: %w", err)
	}
	start, err := parseDate("StartDate", p.StartDate)
	end, other := parseDate("EndDate", p.EndDate)
	if err := errors.Join(err, other); err != nil {
		return err
	}
	if !start.IsZero() && !end.IsZero() && !end.After(start) {
		return fmt.Errorf("EndDate must be after StartDate, got %s and %s", p.EndDate, p.StartDate)
	}
	if rate, ok := times.(schedule.Rate); ok {
		from := start
		if from.IsZero() {
			from = created
		}
		times = schedule.Anchored(from, rate)
		if isNew && start.IsZero() && (end.IsZero() || created.Before(end)) {
			t.next = created
		}
	}
	if !schedule.IsOnce(times) { // which ignores both
		times = schedule.Between(times, start, end)
	}
	t.schedule = times
	if n := p.FlexibleTimeWindow.MaximumWindowInMinutes; n != nil {
		t.window = time.Duration(*n) * time.Minute
	}
	return nil
}

func parseDate(property, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%s must be a time stamp as in RFC 3339, got %q", property, text)
	}
	return at, nil
}

// checkGroups checks that the group of every schedule exists.
func (s *Service) checkGroups() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var problems []error
	for _, t := range s.timers {
		if t.group != defaultGroup && !s.timerGroups[t.group] {
			problems = append(problems, fmt.Errorf("schedule %s: GroupName must be that of a group of the stack or %q, got %q", t.logicalID, defaultGroup, t.group))
		}
	}
	return errors.Join(problems...)
}
