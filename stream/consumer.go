package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
)

// AWS's quotas of consumers.
const (
	maxConsumers         = 20 // of one stream
	maxAdvantage         = 50 // of an ON_DEMAND one whose owner has a commitment: On-demand Advantage
	maxCreatingConsumers = 5  // of one stream, CREATING at once
)

// Consumer is a registered consumer of a stream, as of one instant: what may
// subscribe to the stream's shards. It and all it points to are read-only.
type Consumer struct {
	Stream  Ref
	Name    string
	Status  Status // Creating, Active or Deleting
	Created time.Time
	Tags    map[string]string

	stream  string // the stream's id
	version uint64 // of its document
	doc     consumerDoc
}

// ARN returns the Amazon resource name of the consumer, which tells it from
// others that had its name before.
func (c *Consumer) ARN() string {
	return c.Stream.ARN() + "/consumer/" + c.Name + ":" + strconv.FormatInt(c.Created.Unix(), 10)
}

type consumerDoc struct {
	Status  Status            `json:"status"`
	Created int64             `json:"created"` // Unix milliseconds
	Tags    map[string]string `json:"tags,omitempty"`
}

func consumerKey(id, name string) catalog.Key {
	return catalog.Key{Kind: kindConsumer, Name: id + "/" + name}
}

// consumers yields a stream's consumers after a name, in name order.
func (v *view) consumers(state *catalog.State, after string, yield func(Consumer) bool) error {
	prefix := v.doc.ID + "/"
	for d := range state.RangeAfter(kindConsumer, prefix, prefix+after) {
		c, err := v.consumer(d)
		if err != nil {
			return err
		}
		if !yield(c) {
			return nil
		}
	}
	return nil
}

func (v *view) consumer(d catalog.Doc) (Consumer, error) {
	doc, err := decode[consumerDoc](d)
	return Consumer{
		Stream: v.info.Ref, Name: d.Key.Name[len(v.doc.ID)+1:], Status: doc.Status,
		Created: time.UnixMilli(doc.Created).UTC(), Tags: doc.Tags,
		stream: v.doc.ID, version: d.Version, doc: doc,
	}, err
}

// Register makes a consumer of a stream; it is ACTIVE on return. At most 20
// consumers can be registered with a stream, 50 with an OnDemand one of an owner
// with a commitment, and at most 5 be CREATING. Faults:
// NotFound, InUse (the name is taken, or the stream is neither ACTIVE nor
// UPDATING), Limit, Invalid.
func (s *Streams) Register(ctx context.Context, ref Ref, name string, tags map[string]string) (Consumer, error) {
	if err := roomForTags(ref, name, tags); err != nil {
		return Consumer{}, err
	}
	for {
		_, v, err := s.open(ref)
		if err != nil {
			return Consumer{}, err
		}
		if v.info.Status != Active && v.info.Status != Updating {
			return Consumer{}, notReady(ref, v.info.Status)
		}
		if err := s.roomForConsumer(v, name); err != nil {
			return Consumer{}, err
		}
		doc := consumerDoc{Status: Creating, Created: nowMilli(), Tags: maps.Clone(tags)}
		// The stream's document is written unchanged, so that no deletion of
		// the stream can come in between.
		conflicted, err := s.propose(ctx, put(streamKey(ref), v.version, v.doc), put(consumerKey(v.doc.ID, name), catalog.Absent, doc))
		if err != nil {
			return Consumer{}, err
		}
		if !conflicted {
			return s.settle(ctx, ref, name)
		}
	}
}

func (s *Streams) roomForConsumer(v *view, name string) error {
	n, creating, most := 0, 0, maxConsumers
	a, err := s.account(v.info.Owner)
	if err != nil {
		return err
	}
	if a.Committed && v.info.Mode == OnDemand {
		most = maxAdvantage
	}
	var taken error
	err = v.consumers(s.catalog.View(), "", func(c Consumer) bool {
		if n++; c.Status == Creating {
			creating++
		}
		if c.Name == name {
			taken = fault.New(fault.InUse, "Consumer %s under stream %s already exists for account %s.", name, c.Stream.Name, c.Stream.Account)
		}
		return true
	})
	switch {
	case err != nil || taken != nil:
		return errors.Join(err, taken)
	case n >= most:
		return fault.New(fault.Limit, "Stream %s under account %s already has %d consumers registered, the most that are allowed.",
			v.info.Name, v.info.Account, n)
	case creating >= maxCreatingConsumers:
		return fault.New(fault.Limit, "Stream %s under account %s already has %d consumers in the CREATING state, the most that are allowed.",
			v.info.Name, v.info.Account, creating)
	}
	return nil
}

// settle completes the registration just begun. When that fails it is still
// going to happen: Run tries again.
func (s *Streams) settle(ctx context.Context, ref Ref, name string) (Consumer, error) {
	for {
		c, err := s.Consumer(ref, name, 0)
		if err != nil || c.Status != Creating {
			return c, err
		}
		if err := s.completeConsumer(context.WithoutCancel(ctx), &c); err != nil {
			s.nudgeLater()
			return c, fmt.Errorf("complete registration of consumer %s of stream %s: %w", name, ref.Name, err)
		}
	}
}

// completeConsumer takes the step that brings a consumer out of CREATING or
// DELETING. If somebody else has taken it, nothing is left to do.
func (s *Streams) completeConsumer(ctx context.Context, c *Consumer) error {
	key := consumerKey(c.stream, c.Name)
	change := catalog.Change{Key: key, If: c.version, Delete: true}
	switch c.Status {
	case Active:
		return nil
	case Creating:
		doc := c.doc
		doc.Status = Active
		change = put(key, c.version, doc)
	}
	_, err := s.propose(ctx, change)
	return err
}

// tendConsumers completes what a crash or a failing log has left undone.
func (s *Streams) tendConsumers(ctx context.Context, v *view) error {
	var errs []error
	err := v.consumers(s.catalog.View(), "", func(c Consumer) bool {
		errs = append(errs, s.completeConsumer(ctx, &c))
		return true
	})
	return errors.Join(append(errs, err)...)
}

// Consumer returns a stream's consumer by name. created is the Unix second of
// its registration, as in its ARN; 0: whenever that was. Faults: NotFound.
func (s *Streams) Consumer(ref Ref, name string, created int64) (Consumer, error) {
	_, v, err := s.open(ref)
	if err != nil {
		return Consumer{}, err
	}
	d, ok := s.catalog.View().Get(consumerKey(v.doc.ID, name))
	if !ok {
		return Consumer{}, noConsumer(ref, name)
	}
	c, err := v.consumer(d)
	if err == nil && created != 0 && created != c.Created.Unix() {
		err = noConsumer(ref, name)
	}
	return c, err
}

// Consumers returns a stream's consumers in name order: at most limit of those
// after a name, and whether there are more. Faults: NotFound.
func (s *Streams) Consumers(ref Ref, after string, limit int) (found []Consumer, more bool, err error) {
	_, v, err := s.open(ref)
	if err != nil {
		return nil, false, err
	}
	err = v.consumers(s.catalog.View(), after, func(c Consumer) bool {
		more = len(found) == limit
		if !more {
			found = append(found, c)
		}
		return !more
	})
	return found, more, err
}

// Deregister removes a consumer, which is gone on return, and ends its
// subscriptions. created is as Consumer's. Faults: NotFound, InUse (it is not
// ACTIVE).
func (s *Streams) Deregister(ctx context.Context, ref Ref, name string, created int64) error {
	err := s.changeConsumer(ctx, ref, name, created, func(d *consumerDoc) error {
		d.Status = Deleting
		return nil
	})
	if err != nil {
		return err
	}
	c, err := s.Consumer(ref, name, created)
	if isGone(err) {
		return nil
	}
	if err == nil && c.Status == Deleting {
		s.subs.dismiss(c.stream, name)
		if e := (*s.entries.Load())[ref]; e != nil {
			e.dismiss(name)
		}
		err = s.completeConsumer(context.WithoutCancel(ctx), &c)
	}
	if err != nil {
		s.nudgeLater()
		return fmt.Errorf("complete removal of consumer %s of stream %s: %w", name, ref.Name, err)
	}
	return nil
}

// TagConsumer sets and removes tags of a consumer: at most 50 in the end.
// created is as Consumer's. Faults: NotFound, InUse (it is not ACTIVE),
// Invalid.
func (s *Streams) TagConsumer(ctx context.Context, ref Ref, name string, created int64, set map[string]string, remove []string) error {
	return s.changeConsumer(ctx, ref, name, created, func(d *consumerDoc) error {
		tags := maps.Clone(d.Tags)
		if tags == nil {
			tags = make(map[string]string)
		}
		for _, k := range remove {
			delete(tags, k)
		}
		maps.Copy(tags, set)
		d.Tags = tags
		return roomForTags(ref, name, tags)
	})
}

// changeConsumer makes one change of an ACTIVE consumer's document.
func (s *Streams) changeConsumer(ctx context.Context, ref Ref, name string, created int64, edit func(*consumerDoc) error) error {
	for {
		c, err := s.Consumer(ref, name, created)
		if err != nil {
			return err
		}
		if c.Status != Active {
			return consumerNotActive(&c)
		}
		doc := c.doc
		if err := edit(&doc); err != nil {
			return err
		}
		conflicted, err := s.propose(ctx, put(consumerKey(c.stream, name), c.version, doc))
		if err != nil || !conflicted {
			return err
		}
	}
}

// The faults about consumers. That of one that is not ACTIVE is in AWS's words
// as awslabs/kinesis-hot-shard-advisor#37 quotes them; that of an unknown one
// was never recorded.

func noConsumer(r Ref, name string) error {
	return fault.New(fault.NotFound, "Consumer %s under stream %s under account %s not found.", name, r.Name, r.Account)
}

func consumerNotActive(c *Consumer) error {
	return fault.New(fault.InUse, "Consumer %s with creation timestamp %d under stream: %s , account %s is not in ACTIVE status.",
		c.Name, c.Created.Unix(), c.Stream.Name, c.Stream.Account)
}
