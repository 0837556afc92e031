package gate

import (
	"context"
	"log/slog"
	"time"

	"github.com/thalweg/thalweg/fault"
)

// done tells of a request that was answered: the figures of its operation, if
// it reached one, and the log.
func (g *Gate) done(ctx context.Context, c *Call, op *operation, status int, exception string) {
	took := time.Since(c.Now)
	if op != nil && g.cfg.Observe != nil {
		g.cfg.Observe(op.service.Name, op.name, status, took)
	}
	if c.Failed != nil {
		g.report(ctx, c, c.Failed)
	}
	if !g.cfg.Logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	name := c.Target[:min(len(c.Target), maxTarget)]
	if op != nil {
		name = op.name
	}
	g.cfg.Logger.LogAttrs(ctx, slog.LevelDebug, "request",
		slog.String("request_id", c.RequestID), slog.String("operation", name),
		slog.String("account", c.Account), slog.String("region", c.Region), slog.String("resource", c.Resource),
		slog.Int("status", status), slog.String("exception", exception), slog.Duration("took", took))
}

// maxTarget is how much is logged of a target that is no operation's.
const maxTarget = 128

// report logs a failure of ours, once, under the id that the caller got.
func (g *Gate) report(ctx context.Context, c *Call, err error) {
	level, text := slog.LevelError, "operation failed"
	if fault.Is(err, fault.Unavailable) {
		level, text = slog.LevelWarn, "operation refused"
	}
	g.cfg.Logger.LogAttrs(ctx, level, text,
		slog.String("request_id", c.RequestID), slog.String("target", c.Target),
		slog.String("account", c.Account), slog.String("region", c.Region), slog.String("resource", c.Resource),
		slog.Any("error", err))
}
