package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/lmittmann/tint"

	"footfall/cmd/internal/config"
	"footfall/cmd/internal/node"
	"footfall/demo"
	"footfall/http/merchant"
	"footfall/persistence/diskguard"
)

// gcPercent makes the collector run earlier than Go's 100 does: a node's heap is
// long-lived, so that costs little and saves a tenth to a quarter of its memory.
const gcPercent = 50

// serve runs a node until ctx ends.
func serve(ctx context.Context, cfg config.Serve) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if cfg.MemoryBudget > 0 {
		debug.SetMemoryLimit(cfg.MemoryBudget) // the collector works harder near it
	}
	n, err := node.Open(ctx, cfg, newLogger(cfg), moreRoutes)
	if errors.Is(err, diskguard.ErrFull) {
		return withCode(exitDiskFull, err)
	}
	if err != nil {
		return err
	}
	return n.Run(ctx, func(setup string) { greet(n, setup) })
}

func newLogger(cfg config.Serve) *slog.Logger {
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: cfg.LogLevel}))
	}
	return slog.New(tint.NewTextHandler(os.Stderr, &tint.Options{Level: cfg.LogLevel, NoColor: !isTerminal(os.Stderr)}))
}

// greet says where the node is and what to do first.
func greet(n *node.Node, setup string) {
	url := n.URL()
	fmt.Printf("Footfall serves on %s\n", url)
	if setup != "" {
		fmt.Printf("\nSet up the first account (this link works once):\nsetup: %s\n", setup)
	}
	fmt.Printf("\nPaste into the pages of a site:\n%s\n", merchant.Snippet(url, "YOUR-DOMAIN"))
	fmt.Printf("\nDemo shop, counted as the site %s: %s/demo/\n", demo.Domain, url)
}
