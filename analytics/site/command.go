package site

import (
	"footfall/analytics"
	"footfall/analytics/entry"
)

// outcomesMax is how many outcomes of commands are remembered.
const outcomesMax = 32

// outcome is what an Erase took away.
type outcome struct {
	index          uint64 // of its entry
	visits, events uint64
}

// commandOf gives the command among an entry's items of this site, nil if there
// is none or if it is not alone: what a command needs is found out before the
// entry is applied, so no event may come in between.
func commandOf(items []entry.Item) *entry.Item {
	var c *entry.Item
	for i := range items {
		switch it := &items[i]; {
		case it.Drop:
		case it.Command == entry.NoCommand, c != nil:
			return nil
		default:
			c = it
		}
	}
	return c
}

// command applies a command: Counted when it is in force, DropDuplicate when it
// was before, DropInvalid when it cannot be.
func (m *Machine) command(it *entry.Item, alone bool) analytics.Reason {
	if !alone {
		return analytics.DropInvalid
	}
	switch it.Command {
	case entry.Erase:
		visits, events := m.erase(it)
		m.outcomes = append(m.outcomes, outcome{m.applied, visits, events})
		m.outcomes = m.outcomes[max(0, len(m.outcomes)-outcomesMax):]
		return analytics.Counted
	case entry.Retain:
		return m.retain(it)
	case entry.Seal:
		return m.seal(it.Month, it.Figures)
	}
	return analytics.DropInvalid
}

// Outcome tells how many visits and events, engagements not among them, the
// Erase at a log index took away. The last 32 are remembered.
func (m *Machine) Outcome(index uint64) (visits, events uint64, ok bool) {
	for _, o := range m.outcomes {
		if o.index == index {
			return o.visits, o.events, true
		}
	}
	return 0, 0, false
}
