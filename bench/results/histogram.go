package results

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are recorded from 1 µs to two minutes with three digits; what is
// longer counts as two minutes.
const (
	latencyUSMax  = int64(2 * time.Minute / time.Microsecond)
	latencyDigits = 3
)

// NewHistogram makes an empty histogram of latencies in µs. It is not safe for
// concurrent use.
func NewHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, latencyUSMax, latencyDigits)
}

// Record adds a latency, brought into the histogram's range.
func Record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(1, d.Microseconds()), latencyUSMax)) // always in range
}

// Summary gives a histogram's figures, zeros for an empty one.
func Summary(h *hdrhistogram.Histogram) Latency {
	if h == nil || h.TotalCount() == 0 {
		return Latency{}
	}
	return Latency{Mean: h.Mean(), P50: h.ValueAtQuantile(50), P75: h.ValueAtQuantile(75), P90: h.ValueAtQuantile(90),
		P95: h.ValueAtQuantile(95), P99: h.ValueAtQuantile(99), P999: h.ValueAtQuantile(99.9), P9999: h.ValueAtQuantile(99.99), Max: h.Max()}
}

// Encode gives a histogram as text.
func Encode(h *hdrhistogram.Histogram) (string, error) {
	b, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return "", fmt.Errorf("encode a histogram: %w", err)
	}
	return string(b), nil
}

// Decode reads what Encode wrote.
func Decode(s string) (*hdrhistogram.Histogram, error) {
	h, err := hdrhistogram.Decode([]byte(s))
	if err != nil {
		return nil, fmt.Errorf("decode a histogram: %w", err)
	}
	return h, nil
}
