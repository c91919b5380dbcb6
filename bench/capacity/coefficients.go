package capacity

import (
	"bytes"
	_ "embed" // the shipped coefficients
	"encoding/json"
	"fmt"
	"math"
)

// Version is that of the JSON of Coefficients.
const Version = 1

// Kind is the value of the JSON's field "kind"; it tells such a file from others.
const Kind = "footfall-coefficients"

// Coefficients are what a view, a site, a visitor and a question were measured
// to cost.
type Coefficients struct {
	Kind     string  `json:"kind"`
	Version  int     `json:"version"`
	Measured string  `json:"measured"` // date, as 2026-01-02
	Commit   string  `json:"commit"`
	Machine  Machine `json:"machine"`
	CPU      CPU     `json:"cpu"`
	Memory   Memory  `json:"memory"`
	Disk     Disk    `json:"disk"`
	Network  Network `json:"network"`
	// Samples are the runs that CPU was fitted to, Checks others that it was not.
	// Members and MemberChecks are those of nodes that have others beside them.
	Samples      []Sample `json:"samples,omitempty"`
	Checks       []Sample `json:"checks,omitempty"`
	Members      []Sample `json:"members,omitempty"`
	MemberChecks []Sample `json:"member_checks,omitempty"`
	// From says where figures came from that are not of this file's machine; "" if
	// all are.
	From string `json:"from,omitempty"`
}

// Machine is where something was measured.
type Machine struct {
	Cores int    `json:"cores"`
	CPU   string `json:"cpu"`
	OS    string `json:"os"`
}

// CPU is user and system time, of a node that is alone and of one that has
// others beside it.
type CPU struct {
	Alone          Costs   `json:"alone"`
	Member         Costs   `json:"member"`
	QuestionMillis float64 `json:"question_millis"` // a question of a dashboard
}

// Costs are what a node spends, and the pace at which it writes.
type Costs struct {
	RestCores   float64 `json:"rest_cores"`   // does nothing
	EdgeMicros  float64 `json:"edge_micros"`  // a view, where it comes in; alone: everything about it
	ViewMicros  float64 `json:"view_micros"`  // a view, on each replica
	EntryMicros float64 `json:"entry_micros"` // a log entry: views of one shard that are written together
	SyncMicros  float64 `json:"sync_micros"`  // a synced write, however many views it carries
	WakeMicros  float64 `json:"wake_micros"`  // and when it begins after a pause, in which the cores fell asleep
	SyncMS      float64 `json:"sync_ms"`      // how long a write takes, from one to the next
	SyncWakeMS  float64 `json:"sync_wake_ms"` // and longer after a pause
	SyncEntryMS float64 `json:"sync_entry_ms"`
	SyncViewMS  float64 `json:"sync_view_ms"`
}

// Memory is resident, what the collector has not yet found included.
type Memory struct {
	RestBytes       float64 `json:"rest_bytes"`        // a node without sites
	KnownSiteBytes  float64 `json:"known_site_bytes"`  // a site, on every node
	ActiveSiteBytes float64 `json:"active_site_bytes"` // a site with views lately, on each of its replicas
	VisitorBytes    float64 `json:"visitor_bytes"`     // a visitor of the last half hour, on each replica
	ViewBytes       float64 `json:"view_bytes"`        // a view of the last 24 hours, on each replica
	FreshViewBytes  float64 `json:"fresh_view_bytes"`  // and one that is not in the store yet
}

// Disk is bytes in the data directory of each replica.
type Disk struct {
	UnsealedBytes float64 `json:"unsealed_bytes"` // a view of a day that is not sealed, its id included
	SealedBytes   float64 `json:"sealed_bytes"`   // a view of a day that is
	LogBytes      float64 `json:"log_bytes"`      // a node's log and what the store is rewriting
}

// Network is bytes of payload, without the headers of TCP and TLS.
type Network struct {
	RequestBytes float64 `json:"request_bytes"` // a view, from the visitor
	AnswerBytes  float64 `json:"answer_bytes"`  // to the visitor
	EntryBytes   float64 `json:"entry_bytes"`   // a view, from node to node
}

//go:embed coefficients.json
var shipped []byte

// Shipped gives the coefficients that come with the program.
func Shipped() (*Coefficients, error) { return Decode(shipped) }

// Decode reads coefficients and checks them.
func Decode(b []byte) (*Coefficients, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	c := &Coefficients{}
	if err := d.Decode(c); err != nil {
		return nil, fmt.Errorf("coefficients: %w", err)
	}
	return c, c.Check()
}

// Check tells what is wrong with the coefficients; it names the field.
func (c *Coefficients) Check() error {
	switch {
	case c.Kind != Kind:
		return fmt.Errorf("kind: %q is not %q", c.Kind, Kind)
	case c.Version != Version:
		return fmt.Errorf("version: %d is not known, only %d", c.Version, Version)
	}
	for _, f := range c.fields() {
		switch {
		case math.IsNaN(*f.value) || math.IsInf(*f.value, 0) || *f.value < 0:
			return fmt.Errorf("%s: %v is not a number from 0 on", f.name, *f.value)
		case *f.value == 0 && f.needed:
			return fmt.Errorf("%s: is missing", f.name)
		}
	}
	return nil
}

// field is one coefficient.
type field struct {
	name, unit string
	value      *float64
	needed     bool // cannot be 0
	says       string
}

// fields lists the coefficients.
func (c *Coefficients) fields() []field {
	out := append(c.CPU.Alone.fields("cpu.alone."), c.CPU.Member.fields("cpu.member.")...)
	return append(out, []field{
		{"cpu.question_millis", "ms", &c.CPU.QuestionMillis, false, "a question"},
		{"memory.rest_bytes", "bytes", &c.Memory.RestBytes, true, "a node without sites"},
		{"memory.known_site_bytes", "bytes", &c.Memory.KnownSiteBytes, false, "a known site, on every node"},
		{"memory.active_site_bytes", "bytes", &c.Memory.ActiveSiteBytes, false, "an active site, on each replica"},
		{"memory.visitor_bytes", "bytes", &c.Memory.VisitorBytes, false, "a visitor of the last half hour"},
		{"memory.view_bytes", "bytes", &c.Memory.ViewBytes, false, "a view of the last 24 hours"},
		{"memory.fresh_view_bytes", "bytes", &c.Memory.FreshViewBytes, false, "and one not in the store yet"},
		{"disk.unsealed_bytes", "bytes", &c.Disk.UnsealedBytes, true, "a view, day not sealed"},
		{"disk.sealed_bytes", "bytes", &c.Disk.SealedBytes, true, "a view, day sealed"},
		{"disk.log_bytes", "bytes", &c.Disk.LogBytes, true, "log and rewriting, a node"},
		{"network.request_bytes", "bytes", &c.Network.RequestBytes, true, "a view, from the visitor"},
		{"network.answer_bytes", "bytes", &c.Network.AnswerBytes, true, "its answer"},
		{"network.entry_bytes", "bytes", &c.Network.EntryBytes, true, "a view, from node to node"},
	}...)
}

func (c *Costs) fields(prefix string) []field {
	return []field{
		{prefix + "rest_cores", "cores", &c.RestCores, false, "a node at rest"},
		{prefix + "edge_micros", "µs", &c.EdgeMicros, true, "a view, where it comes in"},
		{prefix + "view_micros", "µs", &c.ViewMicros, false, "a view, on each replica"},
		{prefix + "entry_micros", "µs", &c.EntryMicros, false, "a log entry"},
		{prefix + "sync_micros", "µs", &c.SyncMicros, false, "a synced write"},
		{prefix + "wake_micros", "µs", &c.WakeMicros, false, "and after a pause"},
		{prefix + "sync_ms", "ms", &c.SyncMS, true, "how long a synced write takes"},
		{prefix + "sync_wake_ms", "ms", &c.SyncWakeMS, false, "and longer after a pause"},
		{prefix + "sync_entry_ms", "ms", &c.SyncEntryMS, false, "and for each log entry in it"},
		{prefix + "sync_view_ms", "ms", &c.SyncViewMS, false, "and for each view in it"},
	}
}
