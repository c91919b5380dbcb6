package query

import (
	"sync"
	"sync/atomic"
)

// What came of testing a text.
const (
	notTested uint32 = iota
	isFalse
	isTrue
)

// verdicts holds what came of each text of a lexicon under one test. Safe for
// concurrent use: whoever tests a text first writes what everybody would.
type verdicts struct {
	texts atomic.Pointer[[]atomic.Uint32]
	grow  sync.Mutex // one growing at a time
}

func newVerdicts(n int) *verdicts {
	v := &verdicts{}
	texts := make([]atomic.Uint32, n)
	v.texts.Store(&texts)
	return v
}

// upTo gives what is known of n texts at least. What is written to a slice after
// a larger one was asked for can be lost, and is found out again.
func (v *verdicts) upTo(n int) []atomic.Uint32 {
	texts := *v.texts.Load()
	if n <= len(texts) {
		return texts
	}
	v.grow.Lock()
	defer v.grow.Unlock()
	if texts = *v.texts.Load(); n <= len(texts) {
		return texts
	}
	larger := make([]atomic.Uint32, n+n/8)
	for i := range texts {
		larger[i].Store(texts[i].Load())
	}
	v.texts.Store(&larger)
	return larger
}
