package gate

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/thalweg/thalweg/gate/wire"
)

// Handle makes an Op of a function over typed shapes: the body is decoded into
// an In and held against its constraints, and the Out is encoded, in whichever
// format the caller speaks. In and Out are structs, compiled here, once. An
// Out without members answers with an empty body, as AWS does.
func Handle[In, Out any](name string, f func(ctx context.Context, c *Call, in *In) (*Out, error)) Op {
	request, err := wire.Compile(reflect.TypeFor[In]())
	if err != nil {
		return Op{Name: name, err: fmt.Errorf("request: %w", err)}
	}
	answer, err := wire.Compile(reflect.TypeFor[Out]())
	if err != nil {
		return Op{Name: name, err: fmt.Errorf("answer: %w", err)}
	}
	if !canLocate(reflect.TypeFor[In]()) {
		return Op{Name: name, err: errors.New("request: a member in the path or the query is no *string")}
	}
	empty := reflect.TypeFor[Out]().NumField() == 0
	return Op{Name: name, Request: request, Serve: func(ctx context.Context, c *Call, dst []byte) ([]byte, error) {
		in, err := decode[In](request, c)
		if err != nil {
			return dst, err
		}
		out, err := f(ctx, c, in)
		if err != nil || empty {
			return dst, err
		}
		return answer.Append(dst, c.Format, out)
	}}
}

// HandleStream makes a streaming Op of a function over a typed request, as
// Handle does of one with an answer. The request is f's own, as long as it
// lives.
func HandleStream[In any](name string, f func(ctx context.Context, c *Call, in *In, flow *Flow) error) Op {
	request, err := wire.Compile(reflect.TypeFor[In]())
	if err != nil {
		return Op{Name: name, err: fmt.Errorf("request: %w", err)}
	}
	return Op{Name: name, Request: request, Stream: func(ctx context.Context, c *Call, flow *Flow) error {
		in, err := decode[In](request, c)
		if err != nil {
			return err
		}
		return f(ctx, c, in, flow)
	}}
}

// decode reads the call's body and holds it against its constraints.
func decode[In any](request *wire.Shape, c *Call) (*In, error) {
	in := new(In)
	if err := request.Decode(c.Format, c.Body, in); err != nil {
		return nil, err
	}
	if c.Rest != nil {
		locate(c.Rest, in)
	}
	if err := request.Check(in); err != nil {
		return nil, err
	}
	return in, nil
}
