package zipf_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"footfall/bench/zipf"
)

func TestRanksComeAsOftenAsTheLawSays(t *testing.T) {
	for _, c := range []struct {
		n int
		s float64
	}{{1, 1}, {10, 0}, {100, .8}, {1000, 1.1}} {
		r := zipf.New(c.n, c.s)
		random := rand.New(rand.NewPCG(1, 2))
		const draws = 400_000
		got := make([]float64, c.n)
		for range draws {
			got[r.Draw(random)]++
		}
		sum := 0.0
		for i := range c.n {
			sum += math.Pow(float64(i+1), -c.s)
		}
		for i := range c.n {
			want := draws * math.Pow(float64(i+1), -c.s) / sum
			if math.Abs(got[i]-want) > 6*math.Sqrt(want)+1 {
				t.Errorf("n %d, s %v: rank %d came %v times, want about %.0f", c.n, c.s, i, got[i], want)
			}
		}
	}
}
