// Package zipf draws ranks by Zipf's law, with any exponent, in constant time.
// It must never allocate while drawing. Start at New.
package zipf

import (
	"math"
	"math/rand/v2"
)

// Ranks is a distribution over 0 … n-1 by the alias method. It is read-only, so
// that many may draw from it at a time with randomness of their own.
type Ranks struct {
	keep  []float32
	alias []uint32
}

// New makes the distribution in which rank i has the weight 1/(i+1)^s; s 0 is
// the even one. n is at least 1.
func New(n int, s float64) *Ranks {
	weights := make([]float64, n)
	sum := 0.0
	for i := range weights {
		weights[i] = math.Pow(float64(i+1), -s)
		sum += weights[i]
	}
	r := &Ranks{make([]float32, n), make([]uint32, n)}
	var small, large []uint32
	for i := range weights {
		weights[i] *= float64(n) / sum
		if weights[i] < 1 {
			small = append(small, uint32(i))
		} else {
			large = append(large, uint32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		a, b := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		r.keep[a], r.alias[a] = float32(weights[a]), b
		if weights[b] += weights[a] - 1; weights[b] < 1 {
			large = large[:len(large)-1]
			small = append(small, b)
		}
	}
	for _, i := range append(small, large...) { // 1, but for rounding
		r.keep[i], r.alias[i] = 1, i
	}
	return r
}

// Draw gives a rank.
func (r *Ranks) Draw(random *rand.Rand) int {
	i := random.IntN(len(r.keep))
	if random.Float32() < r.keep[i] {
		return i
	}
	return int(r.alias[i])
}
