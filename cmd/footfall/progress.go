package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// importProgress shows an import on standard error: a bar with rate and time to
// go where somebody looks, notices always.
type importProgress struct {
	mu    sync.Mutex
	w     io.Writer
	now   func() time.Time
	start time.Time
	lines int64
	bar   *progressbar.ProgressBar // nil when nobody looks
}

// newProgress begins a bar over total bytes, -1 when that is not known, drawn
// at most every redraw.
func newProgress(w *world, total int64, show bool, redraw time.Duration) *importProgress {
	p := &importProgress{w: w.stderr, now: w.now, start: w.now()}
	if show {
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(w.stderr),
			progressbar.OptionSetDescription("importing"),
			progressbar.OptionShowBytes(true),
			progressbar.OptionShowTotalBytes(true),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionSetWidth(24),
			progressbar.OptionThrottle(redraw),
			progressbar.OptionSetSpinnerChangeInterval(0), // a spinner would be a goroutine without an owner
			progressbar.OptionClearOnFinish(),
		)
	}
	return p
}

// Read moves the bar.
func (p *importProgress) Read(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.Add64(bytes) //nolint:errcheck // a bar that cannot be drawn stops nothing
	}
}

// Done shows lines and their rate.
func (p *importProgress) Done(lines int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines += lines
	if p.bar == nil {
		return
	}
	text := grouped(p.lines) + " lines"
	if passed := p.now().Sub(p.start).Seconds(); passed > 0 {
		text += fmt.Sprintf(", %s/s", grouped(int64(float64(p.lines)/passed)))
	}
	p.bar.Describe(text)
}

// Notice writes a line of its own.
func (p *importProgress) Notice(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.Clear() //nolint:errcheck // as above
	}
	fmt.Fprintf(p.w, "footfall: %s\n", why)
}

// end takes the bar away.
func (p *importProgress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.Finish() //nolint:errcheck // as above
		p.bar.Clear()  //nolint:errcheck // as above
	}
}
