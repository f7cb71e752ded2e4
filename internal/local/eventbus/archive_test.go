package eventbus

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// archived returns what ListArchives answers: name, pattern, retention and number of events of each.
func (a *runningService) archived(t *testing.T) map[string]string {
	t.Helper()
	list, err := a.client.ListArchives(t.Context(), &eventbridge.ListArchivesInput{})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, one := range list.Archives {
		d, err := a.client.DescribeArchive(t.Context(), &eventbridge.DescribeArchiveInput{ArchiveName: one.ArchiveName})
		if err != nil {
			t.Fatal(err)
		}
		all[*one.ArchiveName] = strings.TrimSpace(fmt.Sprint(aws.ToString(d.Description), " ", aws.ToString(d.EventPattern), " ", *d.RetentionDays, " days, ", d.EventCount, " events"))
	}
	return all
}

func TestArchivesOverTheAPI(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	a, _ := listenWithArchive(t, path)
	c, ctx := a.client, t.Context()
	made, err := c.CreateArchive(ctx, &eventbridge.CreateArchiveInput{ArchiveName: aws.String("mine"), EventSourceArn: aws.String(busARN), EventPattern: aws.String(`{"source":["orders"]}`)})
	if err != nil || *made.ArchiveArn != "arn:aws:events:eu-west-1:000000000000:archive/mine" {
		t.Fatal(made, err)
	}
	a.put(t, order("1"))
	if _, err := c.UpdateArchive(ctx, &eventbridge.UpdateArchiveInput{ArchiveName: aws.String("mine"), EventPattern: aws.String(`{"source":["none"]}`), RetentionDays: aws.Int32(3)}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UpdateArchive(ctx, &eventbridge.UpdateArchiveInput{ArchiveName: aws.String("all"), Description: aws.String("changed")}); err != nil {
		t.Fatal(err)
	}
	a.put(t, order("2"))
	expect(t, "archives", a.archived(t), map[string]string{"mine": `{"source":["none"]} 3 days, 1 events`, "all": `changed {"source":["orders"]} 7 days, 2 events`})
	for name, err := range map[string]error{
		"already exists":          call(c.CreateArchive(ctx, &eventbridge.CreateArchiveInput{ArchiveName: aws.String("mine"), EventSourceArn: aws.String(busARN)})),
		"must be 1 to 48 letters": call(c.CreateArchive(ctx, &eventbridge.CreateArchiveInput{ArchiveName: aws.String("a b"), EventSourceArn: aws.String(busARN)})),
		"event bus arn:aws:events:eu-west-1:000000000000:event-bus/none does not exist": call(c.CreateArchive(ctx, &eventbridge.CreateArchiveInput{
			ArchiveName: aws.String("other"), EventSourceArn: aws.String("arn:aws:events:eu-west-1:000000000000:event-bus/none"),
		})),
		"InvalidEventPatternException": call(c.UpdateArchive(ctx, &eventbridge.UpdateArchiveInput{ArchiveName: aws.String("mine"), EventPattern: aws.String("{")})),
		"Archive none does not exist":  call(c.DeleteArchive(ctx, &eventbridge.DeleteArchiveInput{ArchiveName: aws.String("none")})),
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %q", err, name)
		}
	}
	a.Close()
	a.db.Close()

	// What was changed on the template's archive stays, and the other is gone with its events.
	b, _ := listenWithArchive(t, path)
	expect(t, "archives of the next run", b.archived(t), map[string]string{"all": `changed {"source":["orders"]} 7 days, 2 events`})
	if err := call(b.client.CreateArchive(ctx, &eventbridge.CreateArchiveInput{ArchiveName: aws.String("mine"), EventSourceArn: aws.String(busARN)})); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"all", "mine"} {
		if err := call(b.client.DeleteArchive(ctx, &eventbridge.DeleteArchiveInput{ArchiveName: &name})); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, "archives at last", b.archived(t), map[string]string{})
	b.Close()
	b.db.Close()
	last, _ := listenWithArchive(t, path)
	expect(t, "archives of the last run", last.archived(t), map[string]string{})
}

// call returns the error of a call.
func call[Output any](_ Output, err error) error { return err }

// An archive of a bus that no stack of the run has is refused with what to do.
func TestAnArchiveOfNoBus(t *testing.T) {
	w := listen(t, filepath.Join(t.TempDir(), "j.db"))
	_, err := w.provisionArchive(t.Context(), template.Resource{PhysicalName: "A", Properties: map[string]any{"SourceArn": anyBus + "shared"}})
	if want := "SourceArn: event bus " + anyBus + "shared does not exist: run the stack with the event bus too (--stack), or let an empty one stand in for it (--stand-in bus=shared)"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
