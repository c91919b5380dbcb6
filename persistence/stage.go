package persistence

// View is one consistent picture of a store: it shows what had been committed
// when it was made and nothing later. Safe for concurrent use, except Close. It
// holds disk space back, so it is closed as soon as it was read, and before its
// store is.
type View interface {
	// Get gives a copy of the value, owned by the caller, or ErrNotFound.
	Get(key []byte) ([]byte, error)
	// Scan calls fn for every key in [from, to) in order. key and value are valid
	// only during the call. fn's error ends the scan and is returned.
	Scan(from, to []byte, fn func(key, value []byte) error) error
	// Close releases the view. No call may be running or follow.
	Close() error
}

// Viewer is a Store that gives consistent pictures of itself. Safe for
// concurrent use.
type Viewer interface {
	// View gives a picture of everything committed so far. The caller closes it.
	View() (View, error)
}

// Stage collects records beside the store, where no reader of the store sees
// them, until Stager.Install brings them in. Not safe for concurrent use. After
// an error of Put or Finish only Discard may follow.
type Stage interface {
	// Put adds a record. Keys rise strictly; a key that does not is an error. key
	// and value are copied. Nothing is durable before Finish returned nil.
	Put(key, value []byte) error
	// Finish makes the stage whole: it returns after the stage would survive a
	// power cut. No Put may follow. A stage that was not finished is never
	// installed.
	Finish() error
	// Discard removes the stage, finished or not. After a successful Finish it does
	// the same as Stager.Unstage; called twice, or after Install, it does nothing.
	Discard() error
}

// Stager is a Store whose key ranges can be replaced as a whole by records
// collected before. Safe for concurrent use; two calls about the same name are
// the caller's to order.
type Stager interface {
	// Stage starts an empty stage. name consists of letters, digits and '-', at
	// most 128 of them. An older stage of that name is discarded, whether finished
	// or not. The caller ends the stage with Finish or Discard; one that is still
	// being written when the store is closed is lost.
	Stage(name string) (Stage, error)
	// Install replaces all of [from, to) by the records of the finished stage, at
	// once: after a crash a reader sees either all old or all new records of the
	// range. It returns after the replacement would survive a power cut, and the
	// stage is gone then. A record of the stage outside of [from, to), an
	// unfinished or a damaged stage is an error, and nothing is changed. After any
	// other error, such as a disk's, the range holds either all old or all new
	// records; the stage may still be there: Install may be called again, or
	// Unstage. Installing a stage that is gone is no error and changes nothing, so
	// that a caller who crashed may install again.
	//
	// Commits that began before Install returned may land on either side of it:
	// the caller sees to it that nobody else writes in [from, to) meanwhile.
	Install(name string, from, to []byte) error
	// Staged names the finished stages that are not installed, in order of name.
	// What an unfinished stage left behind is not named: it is removed when the
	// store is opened, or by a Stage or an Unstage of its name.
	Staged() ([]string, error)
	// Unstage removes a stage, finished or not. One that is gone is no error.
	Unstage(name string) error
}
