package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"footfall/cmd/internal/client"
	"footfall/cmd/internal/config"
)

// remote are the flags of every command that speaks to a node.
type remote struct {
	Server string `placeholder:"URL" help:"Node to speak to (default: the local one, FOOTFALL_SERVER)."`
	Key    string `placeholder:"KEY" help:"API key (default: the local node's own token, FOOTFALL_KEY)."`
	Data   string `placeholder:"DIR" help:"Data directory of the local node (default ./data, FOOTFALL_DATA)."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

func (r remote) open(w *world) (*client.Client, error) {
	first := func(values ...string) string {
		for _, v := range values {
			if v != "" {
				return v
			}
		}
		return ""
	}
	return client.Open(client.Options{
		Server: first(r.Server, w.getenv("FOOTFALL_SERVER")),
		Key:    first(r.Key, w.getenv("FOOTFALL_KEY")),
		Data:   first(r.Data, w.getenv(config.Env("data")), config.Default("data")),
	})
}

// printJSON writes a node's answer, or v as JSON when the answer has no body.
func printJSON(w io.Writer, answer json.RawMessage, v any) error {
	if len(bytes.TrimSpace(answer)) == 0 {
		var err error
		if answer, err = json.Marshal(v); err != nil {
			return fmt.Errorf("encode the result: %w", err)
		}
	}
	_, err := fmt.Fprintf(w, "%s\n", bytes.TrimSpace(answer))
	return err
}

// understand reads a node's answer into v.
func understand(answer json.RawMessage, v any) error {
	if err := json.Unmarshal(answer, v); err != nil {
		return fmt.Errorf("the node's answer is not understood: %w", err)
	}
	return nil
}

// printTable writes rows in columns under their titles.
func printTable(w io.Writer, titles []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(titles, "\t"))
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// ident is an id, which JSON may write as a number or as a text.
type ident string

// UnmarshalJSON takes both forms.
func (i *ident) UnmarshalJSON(b []byte) error {
	*i = ident(strings.Trim(string(b), `"`))
	return nil
}

// moment is a time, which JSON may write as RFC 3339 or as Unix milliseconds.
type moment struct{ time.Time }

// UnmarshalJSON takes both forms, and null or 0 for never.
func (m *moment) UnmarshalJSON(b []byte) error {
	var ms int64
	if json.Unmarshal(b, &ms) == nil {
		if ms != 0 {
			m.Time = time.UnixMilli(ms)
		}
		return nil
	}
	return m.Time.UnmarshalJSON(b)
}

// String gives minutes in UTC, "-" for never.
func (m moment) String() string {
	if m.IsZero() {
		return "-"
	}
	return m.UTC().Format("2006-01-02 15:04")
}

// orDash words an empty value.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
