package session

import (
	"context"
	"sync"

	"footfall/analytics/site"
)

// Plain is the simplest source of days: each is made anew for whoever asks, and
// everything is remembered for as long as the Plain is kept. It is for tests and
// for tools that ask a few questions. Safe for concurrent use.
type Plain struct {
	blocks  Blocks
	lexicon *Lexicon

	mu     sync.Mutex // guards memory
	memory map[string]any
}

// NewPlain reads the days of one site from blocks.
func NewPlain(blocks Blocks) *Plain {
	return &Plain{blocks: blocks, lexicon: NewLexicon(), memory: map[string]any{}}
}

// Lexicon gives the texts of all days.
func (p *Plain) Lexicon() *Lexicon { return p.lexicon }

// Day makes a day of the view.
func (p *Plain) Day(ctx context.Context, view *site.View, day int32) (*Day, error) {
	return Build(ctx, view, day, p.blocks, p.lexicon)
}

// Recall gives what Remember was given.
func (p *Plain) Recall(key string) (any, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok := p.memory[key]
	return v, ok
}

// Remember keeps v.
func (p *Plain) Remember(key string, v any, _ int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.memory[key] = v
}
