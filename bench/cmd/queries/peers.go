package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"footfall/analytics"
	"footfall/bench/history"
)

// peer is another engine with the same events.
type peer struct {
	engine string // sqlite, duckdb
	title  string
	file   string
	note   string // version, size
	wrong  string // why it cannot be asked
	cold   map[string]*line
	warm   map[string]*line
	rows   map[string][]row
}

// peerAnswer is what the peers' program says of one question.
type peerAnswer struct {
	Name   string  `json:"name"`
	ColdUS []int64 `json:"cold_us"`
	WarmUS []int64 `json:"warm_us"`
	Rows   []row   `json:"rows"` // of the first variation
	Error  string  `json:"error"`
}

// peerQuestion is what it is asked.
type peerQuestion struct {
	Name   string `json:"name"`
	Specs  []spec `json:"specs"` // asked warm, in this order, until the time is over
	Cold   []spec `json:"cold"`  // each right after the file was opened
	EachMS int64  `json:"each_ms"`
}

// loadPeers brings the events of d into the peers' files, unless they are there.
func (r *run) loadPeers(d dataset) []*peer {
	peers := []*peer{{engine: "sqlite", title: "SQLite"}, {engine: "duckdb", title: "DuckDB"}}
	for _, p := range peers {
		p.file = filepath.Join(d.dir, p.engine+".db")
		p.cold, p.warm, p.rows = map[string]*line{}, map[string]*line{}, map[string][]row{}
		if err := r.loadPeer(p, d); err != nil {
			p.wrong = err.Error()
			r.note("%s: %v", p.title, err)
		}
	}
	return peers
}

func (r *run) loadPeer(p *peer, d dataset) error {
	if _, err := os.Stat(r.peers); err != nil {
		return fmt.Errorf("the program of the peers was not built: %w", err)
	}
	version, err := exec.CommandContext(r.ctx, r.peers, "version", "-engine", p.engine).Output()
	if err != nil {
		return fmt.Errorf("ask for its version: %w", err)
	}
	if _, err := os.Stat(p.file); err != nil {
		start := time.Now()
		if err := r.pipe(p, d); err != nil {
			return err
		}
		r.note("%s loaded in %.0f s", p.title, time.Since(start).Seconds())
	}
	info, err := os.Stat(p.file)
	if err != nil {
		return err
	}
	p.note = fmt.Sprintf("%s, %.1f bytes on disk per view with its indexes", strings.TrimSpace(string(version)), float64(info.Size())/float64(d.views))
	return nil
}

// pipe streams the events as tab-separated lines into the peer's load.
func (r *run) pipe(p *peer, d dataset) error {
	partial := p.file + ".partial"
	for _, suffix := range []string{"", "-wal", "-shm", ".wal"} {
		_ = os.Remove(partial + suffix)
	}
	cmd := exec.CommandContext(r.ctx, r.peers, "load", "-engine", p.engine, "-file", partial)
	var said bytes.Buffer
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = r.writeRows(in, d)
	_ = in.Close()
	if waited := cmd.Wait(); waited != nil {
		return fmt.Errorf("load: %w: %s", waited, strings.TrimSpace(said.String()))
	}
	if err != nil {
		return err
	}
	return os.Rename(partial, p.file)
}

func (r *run) writeRows(to io.Writer, d dataset) error {
	w := bufio.NewWriterSize(to, 1<<20)
	var sessions history.Sessions
	var buf []byte
	for ev := range history.NewWorld(r.seed).Generator(d.options(r.seed)).All() {
		visit := sessions.Of(ev)
		if visit == nil {
			continue
		}
		buf = appendRow(buf[:0], ev, visit)
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	return w.Flush()
}

// appendRow writes an event as the peers' table has it: time, day, month, kind,
// name, page, host, visit, visitor, then what the visit says, then the rest. No
// text of a history holds a tab.
func appendRow(dst []byte, ev *analytics.Event, visit *history.Visit) []byte {
	at := time.UnixMilli(ev.Time).UTC()
	number := func(x int64) { dst = append(strconv.AppendInt(dst, x, 10), '\t') }
	text := func(s string) { dst = append(append(dst, s...), '\t') }
	number(ev.Time)
	number(ev.Time / 86_400_000)
	number(int64(at.Year()*100) + int64(at.Month()))
	number(int64(ev.Kind))
	text(ev.Name)
	text(ev.Page)
	text(ev.Host)
	number(int64(visit.Number))
	number(int64(visit.Visitor))
	v, a := &visit.First, &visit.First.Acquisition
	for _, s := range [...]string{a.Source, a.Referrer, a.Channel, a.Medium, a.UTMSource, a.Campaign, a.Content, a.Term,
		v.Agent.Browser, v.Agent.BrowserVersion, v.Agent.OS, v.Agent.OSVersion, v.Agent.Device,
		v.Place.Country, v.Place.Region, v.Place.City, v.Language, v.Screen} {
		text(s)
	}
	number(int64(ev.ScrollDepth))
	number(int64(ev.EngagedMS))
	for i, p := range ev.Props {
		if i > 0 {
			dst = append(dst, ';')
		}
		dst = append(append(append(dst, p.Key...), '='), p.Value...)
	}
	dst = append(dst, '\t')
	number(ev.Revenue.Amount)
	return append(append(dst, ev.Revenue.Currency...), '\n')
}

// askPeers asks every peer everything.
func (r *run) askPeers(peers []*peer, qs []question, last time.Time) {
	for _, p := range peers {
		if p.wrong != "" {
			continue
		}
		if err := r.askPeer(p, qs, last); err != nil {
			p.wrong = err.Error()
			r.note("%s: %v", p.title, err)
		}
	}
}

func (r *run) askPeer(p *peer, qs []question, last time.Time) error {
	asked := make([]peerQuestion, len(qs))
	for i, q := range qs {
		x := peerQuestion{Name: q.name, EachMS: r.each.Milliseconds()}
		for k := range r.asksMax {
			x.Specs = append(x.Specs, q.at(k, last, false))
		}
		for k := range coldRounds {
			x.Cold = append(x.Cold, q.at(7*k, last, false))
		}
		asked[i] = x
	}
	in, err := json.Marshal(asked)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(r.ctx, r.peers, "ask", "-engine", p.engine, "-file", p.file)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	read := json.NewDecoder(out)
	for range qs {
		var a peerAnswer
		if err = read.Decode(&a); err != nil {
			break
		}
		r.note("%s: %s", p.title, a.Name)
		p.cold[a.Name], p.warm[a.Name] = lineOf(a.ColdUS, a.Error), lineOf(a.WarmUS, a.Error)
		sortRows(a.Rows)
		p.rows[a.Name] = a.Rows
	}
	_, _ = io.Copy(io.Discard, out)
	if waited := cmd.Wait(); waited != nil {
		return fmt.Errorf("ask: %w", waited)
	}
	return err
}

func lineOf(us []int64, wrong string) *line {
	l := newLine()
	l.wrong = wrong
	for _, x := range us {
		_ = l.times.RecordValue(max(1, x))
	}
	return l
}
