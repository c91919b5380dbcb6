// Package api asks a Footfall node what a load run needs to know, over its
// public HTTP API only: sites and keys made before, figures compared after. It
// must never be part of the load. Start at Client.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Client speaks to one node. Safe for concurrent use.
type Client struct {
	URL   string // without a slash at the end
	Key   string // operator's token, or a key of scope sites:provision
	Stats string // key of scope stats:read; "": Key
	HTTP  *http.Client

	// From and To are the days whose events are counted, inclusive, UTC.
	From, To time.Time
}

// NewHTTP makes a client for HTTP that keeps enough connections.
func NewHTTP() *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: parallel}}
}

const (
	parallel       = 16
	answerBytesMax = 64 << 20
	pageRowsMax    = 10_000
)

// Error is a node's refusal.
type Error struct {
	Status int
	Text   string
}

func (e *Error) Error() string { return fmt.Sprintf("%d: %s", e.Status, e.Text) }

// call sends in as JSON and decodes the answer into out, which may be nil.
func (c *Client) call(ctx context.Context, key, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, answerBytesMax))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if res.StatusCode > 299 {
		return fmt.Errorf("%s %s: %w", method, path, &Error{res.StatusCode, strings.TrimSpace(string(text[:min(len(text), 500)]))})
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s %s: the answer is not understood: %w", method, path, err)
	}
	return nil
}

// AddSites makes the sites that are not there yet, in UTC, by the Sites API.
func (c *Client) AddSites(ctx context.Context, domains []string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, d := range domains {
		group.Go(func() error {
			err := c.call(ctx, c.Key, http.MethodPost, "/api/v1/sites", map[string]string{"domain": d, "timezone": "Etc/UTC"}, nil)
			var refused *Error
			if errors.As(err, &refused) && (refused.Status == http.StatusBadRequest || refused.Status == http.StatusConflict) {
				if c.call(ctx, c.Key, http.MethodGet, "/api/v1/sites/"+url.PathEscape(d), nil, nil) == nil {
					return nil // it is there
				}
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("make the sites: %w", err)
	}
	return nil
}

// NewKey makes an API key; only the operator may.
func (c *Client) NewKey(ctx context.Context, name, scope string) (string, error) {
	var out struct {
		Key string `json:"key"`
	}
	err := c.call(ctx, c.Key, http.MethodPost, "/v1/keys", map[string]any{"name": name, "scopes": []string{scope}}, &out)
	if err == nil && out.Key == "" {
		err = errors.New("the answer holds no key")
	}
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	return out.Key, nil
}

func (c *Client) stats() string {
	if c.Stats != "" {
		return c.Stats
	}
	return c.Key
}

type answer struct {
	Results []struct {
		Dimensions []string  `json:"dimensions"`
		Metrics    []float64 `json:"metrics"`
	} `json:"results"`
}

func (c *Client) query(ctx context.Context, domain string, more map[string]any) (*answer, error) {
	in := map[string]any{"site_id": domain, "date_range": []string{c.From.UTC().Format(time.DateOnly), c.To.UTC().Format(time.DateOnly)}}
	for k, v := range more {
		in[k] = v
	}
	var out answer
	if err := c.call(ctx, c.stats(), http.MethodPost, "/api/v2/query", in, &out); err != nil {
		return nil, fmt.Errorf("figures of %s: %w", domain, err)
	}
	return &out, nil
}

// Events gives how many page views and custom events a site has.
func (c *Client) Events(ctx context.Context, domain string) (int64, error) {
	a, err := c.query(ctx, domain, map[string]any{"metrics": []string{"events"}})
	if err != nil {
		return 0, err
	}
	if len(a.Results) != 1 || len(a.Results[0].Metrics) != 1 {
		return 0, fmt.Errorf("figures of %s: %d rows, not one", domain, len(a.Results))
	}
	return int64(a.Results[0].Metrics[0]), nil
}

// Pages gives the page views of each page of a site.
func (c *Client) Pages(ctx context.Context, domain string) (map[string]int64, error) {
	out := map[string]int64{}
	for offset := 0; ; offset += pageRowsMax {
		a, err := c.query(ctx, domain, map[string]any{"metrics": []string{"pageviews"}, "dimensions": []string{"event:page"},
			"order_by": [][2]string{{"event:page", "asc"}}, "pagination": map[string]int{"limit": pageRowsMax, "offset": offset}})
		if err != nil {
			return nil, err
		}
		for _, row := range a.Results {
			if len(row.Dimensions) != 1 || len(row.Metrics) != 1 {
				return nil, fmt.Errorf("pages of %s: a row has %d dimensions and %d metrics", domain, len(row.Dimensions), len(row.Metrics))
			}
			out[row.Dimensions[0]] += int64(row.Metrics[0])
		}
		if len(a.Results) < pageRowsMax {
			return out, nil
		}
	}
}

// Ready tells whether the node takes part.
func (c *Client) Ready(ctx context.Context) error {
	return c.call(ctx, "", http.MethodGet, "/readyz", nil, nil)
}

// Knows asks whether the node knows a site; nil if it does.
func (c *Client) Knows(ctx context.Context, domain string) error {
	return c.call(ctx, c.Key, http.MethodGet, "/api/v1/sites/"+url.PathEscape(domain), nil, nil)
}
