package testprocess

import (
	"bytes"
	"sync"
)

// Output collects what processes print. Calls may be concurrent.
type Output struct {
	mu   sync.Mutex
	text []byte
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	return len(p), nil
}

// All is a copy of everything so far.
func (o *Output) All() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.text)
}

// Tail is the end of it.
func (o *Output) Tail(bytesMax int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text[max(0, len(o.text)-bytesMax):])
}
