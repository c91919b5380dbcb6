package rafthost

import (
	"fmt"
	"sync"

	"footfall/persistence"
)

// job is what one round has for the writer: a batch, or a snapshot to install,
// or a stage to remove.
type job struct {
	b       persistence.Batch // or nil
	written []write           // what b holds, in order
	sync    bool              // an answer depends on it
	install *install
	unstage string
	bytes   int
}

func (j *job) open(s persistence.Store) persistence.Batch {
	if j.b == nil {
		j.b = s.NewBatch()
	}
	return j.b
}

func (j *job) size() int {
	if j.b == nil {
		return 0
	}
	return j.b.Size()
}

func (j *job) discard() {
	if j.b != nil {
		j.b.Discard()
		j.b = nil
	}
}

// writer writes for the groups of a worker that have other members, in the
// order of the jobs. Jobs that wait together share a sync. Safe for concurrent
// use; where no goroutine was started, the worker's turn does the work.
type writer struct {
	mu      sync.Mutex
	change  *sync.Cond // on mu: anything below changed
	queue   []*job
	bytes   int  // of the queue
	busy    bool // jobs were taken from the queue and are not in done
	done    []*job
	err     error
	running bool // a goroutine does the work
	stop    bool
}

// start runs the goroutine until the returned function is called, which waits.
// Jobs that are queued then are done first.
func (r *writer) start(w *worker) (stop func()) {
	var wg sync.WaitGroup
	r.mu.Lock()
	r.running, r.stop = true, false
	r.mu.Unlock()
	wg.Go(func() {
		for r.work(w, true) {
			w.rouse()
		}
	})
	return func() {
		r.mu.Lock()
		r.stop = true
		r.change.Broadcast()
		r.mu.Unlock()
		wg.Wait()
		r.mu.Lock()
		r.running = false
		r.mu.Unlock()
	}
}

// work does the queued jobs; with wait it waits for some. False: it is over.
func (r *writer) work(w *worker, wait bool) bool {
	r.mu.Lock()
	for wait && len(r.queue) == 0 && !r.stop {
		r.change.Wait()
	}
	if len(r.queue) == 0 || r.err != nil {
		r.mu.Unlock()
		return false
	}
	list := r.queue
	r.queue, r.bytes, r.busy = nil, 0, true
	r.mu.Unlock()
	err := w.perform(list)
	r.mu.Lock()
	r.busy = false
	if err == nil {
		r.done = append(r.done, list...)
	}
	r.err = err
	r.change.Broadcast()
	r.mu.Unlock()
	return true
}

// put queues a job. When too much waits for a running writer, it waits too.
func (r *writer) put(j *job) {
	j.bytes = j.size()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = append(r.queue, j)
	r.bytes += j.bytes
	r.change.Broadcast()
	for r.running && !r.stop && r.bytes > queuedBytesMax && r.err == nil {
		r.change.Wait()
	}
}

const queuedBytesMax = 16 << 20

// take gives the jobs that are done.
func (r *writer) take() (done []*job, settled bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	done, r.done = r.done, nil
	return done, len(r.queue) == 0 && !r.busy, r.err
}

// drain returns when nothing is queued or under way. The caller holds w.drive.
func (r *writer) drain(w *worker) error {
	for {
		r.mu.Lock()
		for r.running && (len(r.queue) > 0 || r.busy) && r.err == nil {
			r.change.Wait()
		}
		err, over := r.err, len(r.queue) == 0 && !r.busy
		r.mu.Unlock()
		if err != nil || over {
			return err
		}
		r.work(w, false)
	}
}

// perform does jobs in order. All batches between two snapshots are committed
// with one sync.
func (w *worker) perform(list []*job) error {
	for len(list) > 0 {
		n := 0
		for n < len(list) && list[n].install == nil && list[n].unstage == "" {
			n++
		}
		if err := w.write(list[:n]); err != nil {
			return err
		}
		if list = list[n:]; len(list) == 0 {
			return nil
		}
		switch j := list[0]; {
		case j.install != nil:
			if err := j.install.do(w.host); err != nil {
				return w.host.fail(err)
			}
		default:
			if err := w.host.stager.Unstage(j.unstage); err != nil {
				w.host.cfg.Logger.Warn("remove the stage of a snapshot", "stage", j.unstage, "error", err)
			}
		}
		list = list[1:]
	}
	return nil
}

// write commits the batches of jobs, the last one synced if an answer depends
// on any of them.
func (w *worker) write(list []*job) error {
	last, sync := -1, false
	bytes, entries := 0, 0
	for i, j := range list {
		sync = sync || j.sync
		if j.b != nil {
			last = i
		}
		bytes += j.bytes
		for _, wr := range j.written {
			entries += len(wr.m.Entries)
		}
	}
	if last < 0 {
		return nil // answers to requests that wrote nothing: what they rest on is durable
	}
	begin := w.host.cfg.Now()
	for i, j := range list {
		if j.b == nil {
			continue
		}
		b := j.b
		j.b = nil
		if err := w.host.cfg.Store.Commit(b, sync && i == last); err != nil {
			return w.host.fail(fmt.Errorf("write raft log: %w", err))
		}
	}
	for _, j := range list {
		for _, wr := range j.written {
			if len(wr.m.Entries) > 0 && !wr.g.stands() {
				wr.g.log.appended(wr.m.Entries)
			}
		}
	}
	if sync {
		w.stats.note(entries, bytes, w.host.cfg.Now().Sub(begin))
	}
	return nil
}
