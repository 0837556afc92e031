package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thalweg/thalweg/fault"
)

func (f *fixture) register(r Ref, name string) Consumer {
	f.Helper()
	c, err := f.Register(context.Background(), r, name, nil)
	f.must(err)
	return c
}

// refused wants a fault of a kind with a text.
func refused(t testing.TB, err error, kind fault.Kind, text string) {
	t.Helper()
	if !fault.Is(err, kind) || err.Error() != text {
		t.Errorf("got %v", err)
	}
}

// A stream has up to 20 consumers, each under a name of its own, and is not
// deleted with any unless that is asked for.
func TestConsumers(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t, false)
	orders := f.create("orders", 1)
	f.create("other", 1)
	f.register(ref("other"), "a")
	var names []string
	for i := range maxConsumers {
		c := f.register(orders, fmt.Sprintf("c%02d", i))
		names = append(names, c.Name)
		want := fmt.Sprintf("arn:aws:kinesis:us-east-1:000000000000:stream/orders/consumer/%s:%d", c.Name, c.Created.Unix())
		if c.Status != Active || c.ARN() != want || time.Since(c.Created).Abs() > time.Minute {
			t.Errorf("registered: %+v %s", c, c.ARN())
		}
	}
	_, err := f.Register(ctx, orders, "c21", nil)
	refused(t, err, fault.Limit, "Stream orders under account 000000000000 already has 20 consumers registered, the most that are allowed.")

	// 50 "with On-demand Advantage streams" (API_RegisterStreamConsumer).
	advantage := ref("advantage")
	f.must(f.Create(ctx, advantage, CreateSpec{Mode: OnDemand}))
	_, err = f.Commit(ctx, owner, true)
	f.must(err)
	for i := range maxAdvantage {
		_, err := f.Register(ctx, advantage, fmt.Sprint("c", i), nil)
		f.must(err)
	}
	_, err = f.Register(ctx, advantage, "c50", nil)
	refused(t, err, fault.Limit, "Stream advantage under account 000000000000 already has 50 consumers registered, the most that are allowed.")
	_, err = f.Register(ctx, orders, "c21", nil)
	refused(t, err, fault.Limit, "Stream orders under account 000000000000 already has 20 consumers registered, the most that are allowed.")
	_, err = f.Register(ctx, orders, "c00", nil)
	refused(t, err, fault.InUse, "Consumer c00 under stream orders already exists for account 000000000000.")
	_, err = f.Register(ctx, ref("nobody"), "c", nil)
	refused(t, err, fault.NotFound, "Stream nobody under account 000000000000 not found.")

	var listed []string
	for after, more := "", true; more; {
		var page []Consumer
		page, more, err = f.Consumers(orders, after, 7)
		f.must(err)
		for _, c := range page {
			listed = append(listed, c.Name)
		}
		after = listed[len(listed)-1]
	}
	if !slices.Equal(listed, names) {
		t.Errorf("listed %v", listed)
	}

	c, err := f.Consumer(orders, "c07", 0)
	f.must(err)
	if _, err := f.Consumer(orders, "c07", c.Created.Unix()); err != nil {
		t.Error(err)
	}
	_, err = f.Consumer(orders, "c07", c.Created.Unix()-1)
	refused(t, err, fault.NotFound, "Consumer c07 under stream orders under account 000000000000 not found.")

	f.must(f.TagConsumer(ctx, orders, "c07", 0, map[string]string{"a": "1", "b": "2"}, nil))
	f.must(f.TagConsumer(ctx, orders, "c07", 0, map[string]string{"c": "3"}, []string{"a"}))
	if c, err = f.Consumer(orders, "c07", 0); err != nil || !maps.Equal(c.Tags, map[string]string{"b": "2", "c": "3"}) {
		t.Errorf("tags %v, %v", c.Tags, err)
	}
	many := make(map[string]string)
	for i := range maxTags {
		many[fmt.Sprint(i)] = ""
	}
	if err := f.TagConsumer(ctx, orders, "c07", 0, many, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("52 tags: %v", err)
	}
	many["more"] = ""
	if _, err := f.Register(ctx, ref("other"), "tagged", many); !fault.Is(err, fault.Invalid) {
		t.Errorf("51 tags: %v", err)
	}

	if err := f.Delete(ctx, orders, false); !fault.Is(err, fault.InUse) {
		t.Errorf("deleted a stream with consumers: %v", err)
	}
	f.must(f.Deregister(ctx, orders, "c07", c.Created.Unix()))
	err = f.Deregister(ctx, orders, "c07", 0)
	refused(t, err, fault.NotFound, "Consumer c07 under stream orders under account 000000000000 not found.")
	f.register(orders, "c07")
	f.must(f.Delete(ctx, orders, true))
	f.create("orders", 1)
	if left, _, err := f.Consumers(orders, "", 10); err != nil || len(left) > 0 {
		t.Errorf("consumers of the new stream: %v, %v", left, err)
	}
	for range f.catalog.View().Range(kindConsumer, c.stream+"/") {
		t.Error("a deleted stream has left a consumer behind")
	}
}

// At most five consumers are CREATING at once; one in that state, or DELETING,
// leaves it after a crash at any step, and takes no change or subscription
// before.
func TestConsumersAfterCrash(t *testing.T) {
	for _, moment := range []string{"propose", "after propose"} {
		t.Run(moment, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				f := newFixture(t, false)
				orders := f.create("orders", 1)
				kept := f.register(orders, "kept")
				crash := func(at int, call func() error) {
					t.Helper()
					n := 0
					f.mem.fail = func(op string) error {
						if op == moment {
							n++
						}
						if n >= at {
							return errUnplugged
						}
						return nil
					}
					if err := call(); !errors.Is(err, errUnplugged) {
						t.Fatalf("failed with %v", err)
					}
					f.mem.fail = nil
					f.restart(false)
				}
				status := func(name string) Status {
					c, err := f.Consumer(orders, name, 0)
					if isGone(err) {
						return ""
					}
					f.must(err)
					return c.Status
				}
				run := func() {
					ctx, stop := context.WithCancel(ctx)
					go f.Run(ctx)
					synctest.Wait()
					stop()
					synctest.Wait()
				}
				step := map[string]int{"propose": 2, "after propose": 1}[moment]
				for i := range maxCreatingConsumers {
					name := fmt.Sprint("new", i)
					crash(step, func() error { _, err := f.Register(ctx, orders, name, nil); return err })
					if s := status(name); s != Creating {
						t.Errorf("%s is %s", name, s)
					}
				}
				if _, err := f.Register(ctx, orders, "sixth", nil); !fault.Is(err, fault.Limit) || !strings.Contains(err.Error(), "CREATING") {
					t.Errorf("a sixth: %v", err)
				}
				crash(step, func() error { return f.Deregister(ctx, orders, "kept", kept.Created.Unix()) })
				if s := status("kept"); s != Deleting {
					t.Errorf("kept is %s", s)
				}
				_, err := f.Subscribe(ctx, orders, "kept", 0, "shardId-0", Start{Type: Latest}, nil)
				refused(t, err, fault.InUse, fmt.Sprintf("Consumer kept with creation timestamp %d under stream: orders , account 000000000000 is not in ACTIVE status.", kept.Created.Unix()))
				if err := f.TagConsumer(ctx, orders, "new0", 0, map[string]string{"a": ""}, nil); !fault.Is(err, fault.InUse) {
					t.Errorf("tagged: %v", err)
				}
				run()
				for i := range maxCreatingConsumers {
					if s := status(fmt.Sprint("new", i)); s != Active {
						t.Errorf("new%d is %q", i, s)
					}
				}
				if s := status("kept"); s != "" {
					t.Errorf("kept is %s", s)
				}
			})
		})
	}
}
