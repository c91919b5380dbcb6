package scenario

import (
	"time"

	"footfall/bench/schedule"
)

// Length is how long the load takes.
func (s *Scenario) Length() time.Duration {
	if s.Mode != Step {
		return s.Duration
	}
	return time.Duration(s.steps()) * s.Step.Every
}

func (s *Scenario) steps() int {
	return int((s.Step.To-s.Step.From)/s.Step.By+1e-9) + 1
}

// Pieces gives the rate of beacon requests over time, without the flood.
func (s *Scenario) Pieces() []schedule.Piece {
	switch s.Mode {
	case Ramp:
		return []schedule.Piece{{Length: s.Duration, From: s.Ramp.From, To: s.Ramp.To}}
	case Step:
		var out []schedule.Piece
		for i := range s.steps() {
			r := s.Step.From + float64(i)*s.Step.By
			out = append(out, schedule.Piece{Length: s.Step.Every, From: r, To: r})
		}
		return out
	}
	if s.Curve == nil {
		return []schedule.Piece{{Length: s.Duration, From: s.Rate, To: s.Rate}}
	}
	return s.days()
}

// days follows the curve, an hour a piece, until the time is over.
func (s *Scenario) days() (out []schedule.Piece) {
	hours := s.Curve.Hours
	if len(hours) == 0 {
		hours = usualDay
	}
	sum := 0.0
	for _, h := range hours {
		sum += h
	}
	factor := func(h int) float64 { return s.Rate * hours[h%24] * 24 / sum }
	hour := s.Curve.Day / 24
	for h, left := 0, s.Duration; left > 0; h++ {
		step := min(hour, left)
		to := factor(h) + (factor(h+1)-factor(h))*float64(step)/float64(hour)
		out = append(out, schedule.Piece{Length: step, From: factor(h), To: to})
		left -= step
	}
	return out
}

// FloodPieces gives the rate of the flood over time, nil without one.
func (s *Scenario) FloodPieces() (out []schedule.Piece) {
	if s.Flood == nil {
		return nil
	}
	if s.Flood.From > 0 {
		out = append(out, schedule.Piece{Length: s.Flood.From})
	}
	return append(out, schedule.Piece{Length: s.Flood.To - s.Flood.From, From: s.Flood.Rate, To: s.Flood.Rate})
}

// FloodAt is the rate of the flood at a time from the start.
func (s *Scenario) FloodAt(at time.Duration) float64 {
	if s.Flood == nil || at < s.Flood.From || at >= s.Flood.To {
		return 0
	}
	return s.Flood.Rate
}

// WithRate is the scenario at one rate for a time, without curve and flood.
func (s *Scenario) WithRate(rate float64, length time.Duration) *Scenario {
	out := *s
	out.Mode, out.Rate, out.Duration, out.Flood, out.Curve = Steady, rate, length, nil, nil
	return &out
}
