package chaos

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestAScheduleComesAgainFromItsSeed(t *testing.T) {
	play := func(seed uint64) (all []fault) {
		s := schedule{random: rand.New(rand.NewPCG(seed, 1)), nodes: 3}
		for range 5 * len(kinds) {
			all = append(all, s.next())
		}
		return all
	}
	first := play(7)
	if !slices.Equal(first, play(7)) {
		t.Error("the same seed gives two schedules")
	}
	if slices.Equal(first, play(8)) {
		t.Error("two seeds give the same schedule")
	}
}

func TestASchedulesFirstFaultsComeBeforeItsRounds(t *testing.T) {
	s := schedule{random: rand.New(rand.NewPCG(1, 1)), nodes: 3, first: []kind{killAll, killAllButLate}}
	seen := map[kind]int{}
	for i := range 2 + len(kinds) {
		f := s.next()
		if i < 2 && f.Kind != []kind{killAll, killAllButLate}[i] {
			t.Errorf("fault %d is %s", i, f.Kind)
		}
		seen[f.Kind]++
	}
	if seen[killAll] != 2 || seen[killAllButLate] != 2 || seen[pause] != 1 || len(seen) != len(kinds) {
		t.Errorf("after a round: %v", seen)
	}
}

func TestEachRoundOfAScheduleHasEveryKindOnce(t *testing.T) {
	s := schedule{random: rand.New(rand.NewPCG(1, 1)), nodes: 3}
	for round := range 10 {
		seen := map[kind]bool{}
		for range kinds {
			f := s.next()
			if seen[f.Kind] {
				t.Errorf("round %d: %s comes twice", round, f.Kind)
			}
			seen[f.Kind] = true
			if f.A == f.B || f.A < 0 || f.A > 2 || f.B < 0 || f.B > 2 {
				t.Errorf("nodes %d and %d of three", f.A, f.B)
			}
			if f.Kind == pause && f.For != 5*time.Second || f.For < time.Second || f.For > 5*time.Second {
				t.Errorf("%s lasts %v", f.Kind, f.For)
			}
		}
	}
}
