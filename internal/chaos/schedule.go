package chaos

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// kind is a sort of fault.
type kind string

// The sorts of faults.
const (
	killLeader     kind = "SIGKILL of the node that leads most"
	killStandby    kind = "SIGKILL of the node that leads least"
	killAny        kind = "SIGKILL of a node"
	killAll        kind = "SIGKILL of all nodes"
	killAllButLate kind = "SIGKILL of all nodes, and who led the control group comes back last"
	pause          kind = "SIGSTOP of a node"
	isolate        kind = "a node is cut off"
	isolateLeader  kind = "the node that leads most is cut off"
	oneWay         kind = "messages are lost one way"
	delay          kind = "every message is 200 ms late"
	consulDown     kind = "Consul is killed"
	balancerAgain  kind = "HAProxy starts again"
	gracefulAgain  kind = "a node stops in order and starts again"
	killTwice      kind = "SIGKILL of a node, and again while it starts"
	killWhileApart kind = "SIGKILL of a node while another is cut off"
)

// kinds are all of them.
var kinds = [...]kind{killLeader, killStandby, killAny, killAll, killAllButLate, pause, isolate, isolateLeader, oneWay, delay, consulDown, balancerAgain,
	gracefulAgain, killTwice, killWhileApart}

// fault is one line of a schedule.
type fault struct {
	Kind   kind
	A, B   int // nodes, different; A is the target where the kind does not choose
	Before time.Duration
	For    time.Duration
}

func (f fault) String() string {
	return fmt.Sprintf("%s (nodes %d, %d) after %v for %v", f.Kind, f.A+1, f.B+1, f.Before.Round(time.Millisecond), f.For.Round(time.Millisecond))
}

// schedule gives faults without end. Each kind comes once in every round, in an
// order of its own; first are those before all rounds.
type schedule struct {
	first  []kind
	random *rand.Rand
	nodes  int
	round  []kind
}

func (s *schedule) next() fault {
	if len(s.first) > 0 {
		s.round, s.first = append([]kind{s.first[0]}, s.round...), s.first[1:]
	}
	if len(s.round) == 0 {
		s.round = append(s.round, kinds[:]...)
		s.random.Shuffle(len(s.round), func(i, j int) { s.round[i], s.round[j] = s.round[j], s.round[i] })
	}
	f := fault{Kind: s.round[0], A: s.random.IntN(s.nodes)}
	s.round = s.round[1:]
	f.B = (f.A + 1 + s.random.IntN(s.nodes-1)) % s.nodes
	f.Before = time.Duration(s.random.Int64N(int64(1500 * time.Millisecond)))
	f.For = time.Second + time.Duration(s.random.Int64N(int64(3*time.Second)))
	if f.Kind == pause {
		f.For = 5 * time.Second
	}
	return f
}
