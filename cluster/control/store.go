package control

import (
	"encoding/binary"
	"errors"
	"fmt"

	"footfall/analytics/accounts"
	"footfall/persistence"
)

// What the store holds, in table 05:
//
//	05 00               version(1) applied(8): the index up to which the records hold the log
//	05 kind(1) id(8)    a record of the state, see accounts.Ref
//
// Numbers are big-endian.
const storeVersion = 1

func headKey() []byte { return []byte{persistence.TableControl, 0} }

func recordKey(r accounts.Ref) []byte {
	return binary.BigEndian.AppendUint64([]byte{persistence.TableControl, r.Kind}, r.ID)
}

// load reads the state and the index up to which it holds the log.
func load(store persistence.Store) (*accounts.State, uint64, error) {
	state := accounts.NewState()
	head, err := store.Get(headKey())
	switch {
	case errors.Is(err, persistence.ErrNotFound):
		return state, 0, nil
	case err != nil:
		return nil, 0, fmt.Errorf("read the head: %w", err)
	case len(head) != 9 || head[0] != storeVersion:
		return nil, 0, fmt.Errorf("the stored format is not known to this release, which knows %d", storeVersion)
	}
	from := []byte{persistence.TableControl, 1}
	err = store.Scan(from, persistence.After([]byte{persistence.TableControl}), func(key, value []byte) error {
		if len(key) != 10 {
			return fmt.Errorf("key %x is not one of ours", key)
		}
		return state.Restore(accounts.Ref{Kind: key[1], ID: binary.BigEndian.Uint64(key[2:])}, value)
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read the records: %w", err)
	}
	state.TakeDirty() // what was read is not new
	return state, binary.BigEndian.Uint64(head[1:]), nil
}

// Flush puts into b every record that changed since the last Flush, and the
// index up to which the records then hold the log; it returns that index. The
// caller commits b; a commit that fails must stop the process, because what b
// held is not handed out again. One Flush at a time.
func (c *Control) Flush(b persistence.Batch) (uint64, error) {
	c.mu.Lock()
	view, dirty, applied := c.state.View(), c.state.TakeDirty(), c.applied
	c.mu.Unlock()
	for _, r := range dirty {
		value, err := view.Record(r)
		if err != nil {
			return 0, fmt.Errorf("flush accounts: %w", err)
		}
		if value == nil {
			b.Delete(recordKey(r))
		} else {
			b.Set(recordKey(r), value)
		}
	}
	b.Set(headKey(), binary.BigEndian.AppendUint64([]byte{storeVersion}, applied))
	return applied, nil
}
