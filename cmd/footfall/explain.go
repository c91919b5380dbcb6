package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"footfall/enrich"
)

type explainCommand struct {
	UserAgent string `placeholder:"UA" help:"User agent of the view."`
	Referrer  string `placeholder:"URL" help:"Page that the visitor came from."`
	URL       string `name:"url" placeholder:"URL" help:"Page viewed, with its query."`
	IP        string `name:"ip" placeholder:"ADDR" help:"Address of the visitor."`
	GeoIPDB   string `name:"geoip-db" placeholder:"FILE" help:"Database of places, .mmdb."`
	NDJSON    bool   `name:"ndjson" help:"Read views from standard input, one object with user_agent, referrer, url and ip per line."`
}

const explainLineBytesMax = 1 << 20

// Run explains one view or many. It needs no node.
func (c explainCommand) Run(ctx context.Context, w *world) error {
	if c.NDJSON && (c.UserAgent != "" || c.Referrer != "" || c.URL != "" || c.IP != "") {
		return withCode(exitUsage, errors.New("--ndjson: reads views from standard input, so none can be given by flags"))
	}
	e, err := enrich.New(enrich.Options{GeoPath: c.GeoIPDB, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("explain: %w", err)
	}
	if c.NDJSON {
		err = explainLines(ctx, w.stdin, w.stdout, e.Explain)
	} else {
		err = explainOne(w.stdout, e.Explain(enrich.ExplainInput{UserAgent: c.UserAgent, Referrer: c.Referrer, URL: c.URL, IP: c.IP}))
	}
	return errors.Join(err, e.Close())
}

// explainOne prints for people; what is wrong with the view is an error too.
func explainOne(w io.Writer, x enrich.Explanation) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	if err := out.Encode(x); err != nil {
		return fmt.Errorf("write the explanation: %w", err)
	}
	if x.Error != "" {
		return withCode(exitUsage, errors.New(x.Error))
	}
	return nil
}

// explainLines answers each line with one line; a line that is not understood
// gets {"error": …} and makes the whole fail at its end.
func explainLines(ctx context.Context, r io.Reader, w io.Writer, explain func(enrich.ExplainInput) enrich.Explanation) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, explainLineBytesMax)
	buffered := bufio.NewWriter(w)
	out := json.NewEncoder(buffered)
	out.SetEscapeHTML(false)
	number, wrong := 0, 0
	for lines.Scan() {
		if ctx.Err() != nil {
			return errors.Join(buffered.Flush(), ctx.Err())
		}
		number++
		var v enrich.ExplainInput
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.DisallowUnknownFields()
		err := decoder.Decode(&v)
		if err == nil && decoder.More() {
			err = errors.New("more than one value")
		}
		if err != nil {
			wrong++
			err = out.Encode(map[string]string{"error": fmt.Sprintf("line %d: %v", number, err)})
		} else {
			err = out.Encode(explain(v))
		}
		if err != nil {
			return fmt.Errorf("write line %d: %w", number, err)
		}
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("write line %d: %w", number, err)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read line %d: %w", number+1, err)
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d lines were not understood", wrong, number)
	}
	return nil
}
