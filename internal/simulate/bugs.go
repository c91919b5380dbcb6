package simulate

import (
	"slices"
	"time"

	"footfall/persistence"
)

// Bug is a fault planted into the simulation's own parts, to see that it is
// found. None of them is in the code that a node runs.
type Bug string

// The planted bugs.
const (
	NoBug              Bug = ""
	AckBeforeSync      Bug = "ack-before-sync"      // a disk says that a commit is synced and it is not
	FollowerAcksEarly  Bug = "follower-acks-early"  // the same, only on nodes that lead nothing
	LeaderAcksAlone    Bug = "leader-acks-alone"    // answers of followers are forged
	VoteForgotten      Bug = "vote-forgotten"       // term and vote are not always written
	DedupeOff          Bug = "dedupe-off"           // a duplicate is counted
	EpochIgnored       Bug = "epoch-ignored"        // streams are told apart by edge and sequence only
	EpochReused        Bug = "epoch-reused"         // the epoch of a process is not always written
	TableTooNew        Bug = "table-too-new"        // the table is written as of now, not as of F
	TableTooOld        Bug = "table-too-old"        // the table written with F is that of the flush before
	TruncateFirst      Bug = "truncate-first"       // the log is cut before the records are written
	SnapshotNoTable    Bug = "snapshot-no-table"    // a snapshot leaves the table out
	EntrySkipped       Bug = "entry-skipped"        // a replica passes over an entry
	MembersLost        Bug = "members-lost"         // a change of members is not written
	ReplicaReused      Bug = "replica-reused"       // a disk that was wiped comes back under its old number
	SpoolForgets       Bug = "spool-forgets"        // a spooled batch is deleted when it is sent
	SpoolBackwards     Bug = "spool-backwards"      // an old epoch's batches are read from their end
	SpoolUnsynced      Bug = "spool-unsynced"       // views are answered before the spool is synced
	ReportsNeedReplica Bug = "reports-need-replica" // a node without a replica of the control group tells nobody that it lives
	OldGapTrusted      Bug = "old-gap-trusted"      // after a start, a refusal that an older process caused is taken for a shard that forgot
	ReadsTooEarly      Bug = "reads-too-early"      // a standby answers without waiting for the token
)

// Bugs lists all planted bugs.
func Bugs() []Bug {
	return []Bug{AckBeforeSync, FollowerAcksEarly, LeaderAcksAlone, VoteForgotten, DedupeOff, EpochIgnored, EpochReused, TableTooNew, TableTooOld,
		TruncateFirst, SnapshotNoTable, EntrySkipped, MembersLost, ReplicaReused, SpoolForgets, SpoolBackwards, SpoolUnsynced, ReadsTooEarly,
		OldGapTrusted, ReportsNeedReplica}
}

// Kinds of a group's keys; see package persistence.
const (
	keyHardState = 0x01
	keyMembers   = 0x03
)

func groupKeyOf(o op, what byte) bool {
	return o.kind == 's' && len(o.key) == 4 && o.key[0] == persistence.TableGroup && o.key[3] == what
}

// plant spoils a node's disk as the bug wants.
func (s *simulation) plant(n *node) {
	switch s.bug {
	case AckBeforeSync:
		n.store.rot = func(_ *batch, sync bool) bool { return sync && s.rng.IntN(2) == 0 }
	case FollowerAcksEarly:
		n.store.rot = func(_ *batch, sync bool) bool { return sync && (n.host == nil || s.rng.IntN(2) == 0 || n.leadsAny()) }
	case VoteForgotten:
		n.store.rot = func(b *batch, sync bool) bool {
			if logged := slices.ContainsFunc(b.ops, func(o op) bool { return !groupKeyOf(o, keyHardState) }); !logged && n.host != nil && s.rng.IntN(2) == 0 {
				b.ops = nil
			}
			return sync
		}
	case EpochReused:
		n.store.rot = func(b *batch, sync bool) bool {
			if len(b.ops) == 1 && b.ops[0].key[0] == persistence.TableSpool && len(b.ops[0].key) == 3 && s.rng.IntN(2) == 0 {
				b.ops = nil
			}
			return sync
		}
	case SpoolUnsynced:
		n.store.rot = func(b *batch, sync bool) bool {
			return sync && !slices.ContainsFunc(b.ops, func(o op) bool {
				return o.kind == 's' && o.key[0] == persistence.TableSpool && len(o.key) > 3
			})
		}
	case ReportsNeedReplica:
		s.settings.DeadAfter = 3 * time.Second
	case MembersLost:
		n.store.rot = func(b *batch, sync bool) bool {
			if n.host != nil && len(b.ops) == 1 && groupKeyOf(b.ops[0], keyMembers) && s.rng.IntN(3) == 0 {
				b.ops = nil
			}
			return sync
		}
	case SnapshotNoTable:
		n.store.hide = func(key []byte) bool {
			_, site, _, _, _, ok := persistence.ParseSiteKey(key)
			return ok && site == 0
		}
	}
}

func (n *node) leadsAny() bool {
	for _, g := range n.host.Groups() {
		if n.host.Leads(g) {
			return true
		}
	}
	return false
}
