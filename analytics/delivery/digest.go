package delivery

import "math/bits"

// The running digest chains, for every entry of the log, what it is (index,
// edge, epoch, sequence, time), what was decided, and the shard time after it.
// Two replicas with the same index that differ here have seen different logs or
// decided differently. What items became is not part of it: a replay passes
// over entries that a site contains already and does not learn their reasons
// again. Contents are compared by the sites' own digest.

// note puts an entry into the digest.
func (t *Table) note(e Entry, d Decision) {
	h := mix(t.sum^e.Index, e.Edge)
	h = mix(h^e.Sequence, uint64(e.Epoch)<<8|uint64(d.Verdict))
	h = mix(h^uint64(e.Time), uint64(t.time))
	t.sum = mix(h^d.Expected, uint64(d.Epoch))
	t.past[t.next] = digest{t.index, t.sum}
	t.next = (t.next + 1) % pastDigest
}

// mix folds a full product, as wyhash does; the constants are odd and random.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xd6e8feb86659fd93)
	return hi ^ lo ^ bits.RotateLeft64(a, 23) ^ bits.RotateLeft64(b, 47)
}

// Digest gives the running digest as of Index.
func (t *Table) Digest() (index, sum uint64) { return t.index, t.sum }

// DigestAt gives the digest as it was at a log index, if that is not too long
// ago: the last 64 entries since the table was made or decoded are remembered.
func (t *Table) DigestAt(index uint64) (sum uint64, ok bool) {
	if index >= t.index {
		return t.sum, index == t.index
	}
	var best, oldest digest
	full := false
	for _, d := range t.past {
		if d.index == 0 {
			continue
		}
		if oldest.index == 0 || d.index < oldest.index {
			oldest = d
		}
		if d.index <= index && d.index >= best.index {
			best, full = d, true
		}
	}
	return best.sum, full && best.index >= oldest.index
}
