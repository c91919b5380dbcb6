// Package place finds out where an address is, from a MaxMind DB file of the
// operator: GeoLite2 and its like, DB-IP, IPinfo, or the flat files of the same
// format. A changed file is taken up while the process runs. It must never write
// an address down, not even into its own cache or its log. Start at Open.
package place

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"footfall/analytics"
	"footfall/enrich/recent"
)

// Options of a Finder.
type Options struct {
	Path   string        // the database; required
	Every  time.Duration // how often the file is looked at; 10 s if zero
	Logger *slog.Logger  // required
	// Records is how many different records are kept decoded; 16,384 if zero.
	Records int
}

// Finder answers where an address is. Safe for concurrent use.
type Finder struct {
	path    string
	records int
	log     *slog.Logger
	current atomic.Pointer[database]

	// watch is owned by the Finder: Close cancels it and waits for done.
	cancel context.CancelFunc
	done   chan struct{}
}

// database is one version of the file, whole in memory. It is not mapped: a map
// of a file that is overwritten in place ends the process with a bus error.
type database struct {
	reader *maxminddb.Reader
	cache  *recent.Table[analytics.Place] // by the record's offset
	stamp  stamp
}

// stamp tells two versions of a file apart.
type stamp struct {
	size     int64
	modified time.Time
}

// Open reads the database and watches the file from then on. A file that is not
// there or is not a usable database is an error that names it.
func Open(o Options) (*Finder, error) {
	if o.Every <= 0 {
		o.Every = 10 * time.Second
	}
	if o.Records <= 0 {
		o.Records = 16_384
	}
	f := &Finder{path: o.Path, records: o.Records, log: o.Logger, done: make(chan struct{})}
	db, err := f.load()
	if err != nil {
		return nil, err
	}
	f.current.Store(db)
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	go f.watch(ctx, o.Every, db.stamp)
	return f, nil
}

// Close stops watching. Find may still be called and answers from what is loaded.
func (f *Finder) Close() error {
	f.cancel()
	<-f.done
	return nil
}

// Find gives the place of addr; the zero Place if it is not known or addr is not
// valid. An IPv4 address in IPv6 form counts as IPv4. No allocation when the
// record was found before.
func (f *Finder) Find(addr netip.Addr) analytics.Place {
	if !addr.IsValid() {
		return analytics.Place{}
	}
	db := f.current.Load()
	result := db.reader.Lookup(addr.Unmap())
	if !result.Found() {
		return analytics.Place{}
	}
	var key [8]byte
	offset := uint64(result.Offset())
	binary.LittleEndian.PutUint64(key[:], offset)
	if p, ok := db.cache.Get(key[:], offset); ok {
		return *p
	}
	var r record
	if result.Decode(&r) != nil {
		return analytics.Place{} // checked at loading; one broken record is no reason to stop counting
	}
	return *db.cache.Put(string(key[:]), offset, r.place())
}

// Built is when the database in use was built, and what it calls itself.
func (f *Finder) Built() (time.Time, string) {
	m := f.current.Load().reader.Metadata
	return m.BuildTime(), m.DatabaseType
}

// watch looks at the file again and again. It remembers the last version it
// tried, so that a broken one is reported once.
func (f *Finder) watch(ctx context.Context, every time.Duration, tried stamp) {
	defer close(f.done)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			tried = f.refresh(tried)
		}
	}
}

// refresh takes up the file if it is not the version that was tried last, and
// gives the version it tried. What cannot be used leaves the old one in place.
func (f *Finder) refresh(tried stamp) stamp {
	now, err := stat(f.path)
	if err != nil || now == tried {
		return tried // a missing file is most likely being replaced
	}
	db, err := f.load()
	if err != nil {
		f.log.Error("place database not taken up, the old one stays in use", "path", f.path, "error", err)
		return now
	}
	f.current.Store(db)
	built, kind := f.Built()
	f.log.Info("place database taken up", "path", f.path, "type", kind, "built", built)
	return db.stamp
}

func stat(path string) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, err
	}
	return stamp{info.Size(), info.ModTime()}, nil
}

// load reads and checks the file. The stamp is taken before reading: a change
// meanwhile makes the next look find another one.
func (f *Finder) load() (*database, error) {
	at, err := stat(f.path)
	if err == nil {
		var data []byte
		if data, err = os.ReadFile(f.path); err == nil {
			return f.parse(data, at)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("place database %s: there is no such file: %w", f.path, err)
	}
	return nil, fmt.Errorf("place database %s: %w", f.path, err)
}

func (f *Finder) parse(data []byte, at stamp) (*database, error) {
	reader, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, fmt.Errorf("place database %s is not a usable MaxMind DB file: %w", f.path, err)
	}
	if err := sample(reader); err != nil {
		return nil, fmt.Errorf("place database %s is damaged: %w", f.path, err)
	}
	return &database{reader: reader, cache: recent.New[analytics.Place](f.records), stamp: at}, nil
}

// sample looks up addresses from all over the address space and decodes what is
// there. A whole check of a city database takes seconds; this finds damage that
// matters in a few milliseconds.
func sample(reader *maxminddb.Reader) error {
	const addresses = 4096
	for i := range uint32(addresses) {
		var four [4]byte
		binary.BigEndian.PutUint32(four[:], i*(1<<32/addresses)+i)
		if err := try(reader, netip.AddrFrom4(four)); err != nil {
			return err
		}
		if reader.Metadata.IPVersion == 6 {
			var six [16]byte
			binary.BigEndian.PutUint32(six[:], 0x2000_0000+i*(0x2000_0000/addresses)+i)
			if err := try(reader, netip.AddrFrom16(six)); err != nil {
				return err
			}
		}
	}
	return nil
}

func try(reader *maxminddb.Reader, addr netip.Addr) error {
	result := reader.Lookup(addr)
	if err := result.Err(); err != nil {
		return err
	}
	var r record
	return result.Decode(&r)
}
