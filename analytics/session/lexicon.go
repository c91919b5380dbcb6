package session

import (
	"sync"
	"sync/atomic"
)

// Lexicon gives the texts of a site numbers that stay the same for as long as it
// lives. Number 0 is the empty text. Safe for concurrent use; reading takes no
// lock.
type Lexicon struct {
	texts atomic.Pointer[[]string]

	mu    sync.Mutex // guards ids, and texts against other writers
	ids   map[string]uint32
	bytes int

	constants map[uint32][]uint32 // columns of one number
}

// NewLexicon makes an empty one.
func NewLexicon() *Lexicon {
	l := &Lexicon{ids: map[string]uint32{"": 0}}
	l.texts.Store(&[]string{""})
	return l
}

// Texts gives all texts by number. The slice is read only; later texts are not in
// it.
func (l *Lexicon) Texts() []string { return *l.texts.Load() }

// Len is the number of texts.
func (l *Lexicon) Len() int { return len(*l.texts.Load()) }

// Text gives the text of a number.
func (l *Lexicon) Text(id uint32) string { return (*l.texts.Load())[id] }

// Bytes estimates the memory of the texts.
func (l *Lexicon) Bytes() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes
}

// ID gives the number of s, which is kept when it is new.
func (l *Lexicon) ID(s string) uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.idLocked(s)
}

// IDs gives the numbers of the texts of a dictionary.
func (l *Lexicon) IDs(dict []string) []uint32 {
	out := make([]uint32, len(dict))
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, s := range dict {
		out[i] = l.idLocked(s)
	}
	return out
}

// Find gives the number of s; false if no row can have it.
func (l *Lexicon) Find(s string) (uint32, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id, ok := l.ids[s]
	return id, ok
}

// constant gives a column of n times x, which is shared and read only.
func (l *Lexicon) constant(x uint32, n int) []uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.constants[x]
	if len(c) < n {
		c = make([]uint32, n+n/2)
		if x != 0 {
			for i := range c {
				c[i] = x
			}
		}
		if l.constants == nil {
			l.constants = map[uint32][]uint32{}
		}
		l.constants[x] = c
	}
	return c[:n:n]
}

func (l *Lexicon) idLocked(s string) uint32 {
	if id, ok := l.ids[s]; ok {
		return id
	}
	texts := *l.texts.Load()
	id := uint32(len(texts))
	l.ids[s] = id
	texts = append(texts, s) // readers see only the length that was published to them
	l.texts.Store(&texts)
	l.bytes += len(s) + 56
	return id
}
