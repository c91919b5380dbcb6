package testnode

import (
	"context"
	"net/http"
)

// View is one page view as a browser reports it.
type View struct {
	Site string
	Page string // path; the host is Site
	ID   string // "" leaves it to the node

	Addr      string // X-Forwarded-For; "" for none
	UserAgent string // Firefox when empty
	Referrer  string
}

// Send reports v to POST /api/event as soon as the node serves.
func (n *Node) Send(ctx context.Context, v View) (Answer, error) { return n.Do(ctx, v.Request()) }

// Request is the POST /api/event that reports v.
func (v View) Request() Request {
	body := map[string]any{"n": "pageview", "u": "https://" + v.Site + v.Page, "d": v.Site}
	if v.ID != "" {
		body["id"] = v.ID
	}
	if v.Referrer != "" {
		body["r"] = v.Referrer
	}
	header := map[string]string{"Content-Type": "text/plain"}
	if v.Addr != "" {
		header["X-Forwarded-For"] = v.Addr
	}
	if v.UserAgent != "" {
		header["User-Agent"] = v.UserAgent
	}
	return Request{Method: http.MethodPost, Path: "/api/event", Body: body, Header: header}
}

// Token is the write token of an answer, "" without one.
func (a Answer) Token() string { return a.Header.Get("X-Footfall-Token") }

// Dropped is the reasons for which events of the answer's request were not
// counted, "" when all were.
func (a Answer) Dropped() string { return a.Header.Get("X-Footfall-Dropped") }
