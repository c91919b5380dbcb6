package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"footfall/bench/node"
	"footfall/bench/traffic"
)

// pagesPerReader is how many streams of one user a node takes.
const pagesPerReader = 20

const password = "a password of some length"

// scene is a node with a site, a history and readers who are signed in.
type scene struct {
	node    *node.Process
	client  *http.Client
	domain  string
	readers []string // cookies
	views   int      // of the site, as the figures show them
}

func prepare(n *node.Process, readers, history int) (*scene, error) {
	s := &scene{node: n, client: &http.Client{}, domain: traffic.Domain(0)}
	var org struct{ ID uint64 }
	if err := s.operator("/v1/orgs", map[string]any{"name": "Readers"}, &org); err != nil {
		return nil, err
	}
	if err := s.operator("/v1/sites", map[string]any{"domain": s.domain, "timezone": "UTC", "org": org.ID}, nil); err != nil {
		return nil, err
	}
	var key struct{ Key string }
	if err := s.operator("/v1/keys", map[string]any{"name": "history", "scope": "events:write", "org": org.ID}, &key); err != nil {
		return nil, err
	}
	if err := s.fill(key.Key, history); err != nil {
		return nil, err
	}
	for i := range readers {
		email := fmt.Sprintf("reader-%d@example.org", i)
		if err := s.operator("/v1/users", map[string]any{"email": email, "name": email, "password": password, "role": "viewer", "org": org.ID}, nil); err != nil {
			return nil, err
		}
		cookie, err := s.signIn(email)
		if err != nil {
			return nil, err
		}
		s.readers = append(s.readers, cookie)
	}
	return s, nil
}

func (s *scene) operator(path string, body, answer any) error {
	_, err := s.post(path, body, map[string]string{"Authorization": "Bearer " + s.node.Token}, answer)
	return err
}

func (s *scene) signIn(email string) (cookie string, err error) {
	header, err := s.post("/v1/session", map[string]string{"email": email, "password": password}, nil, nil)
	if err != nil {
		return "", err
	}
	cookie, _, _ = strings.Cut(header.Get("Set-Cookie"), ";")
	if cookie == "" {
		return "", fmt.Errorf("sign in %s: no cookie", email)
	}
	return cookie, nil
}

// fill sends a history of the last seven days.
func (s *scene) fill(key string, views int) error {
	const batch = 5000
	r := rand.New(rand.NewPCG(1, 2))
	agents := traffic.Agents(100, 1)
	countries := []string{"DE", "AT", "US", "FR", "GB", "ES", "JP"}
	begin := time.Now().AddDate(0, 0, -6).Truncate(24 * time.Hour)
	span := time.Since(begin)
	for sent := 0; sent < views; {
		events := make([]map[string]any, min(batch, views-sent))
		for i := range events {
			visitor := r.IntN(max(1, views/3))
			events[i] = map[string]any{
				"id": fmt.Sprintf("h-%d", sent+i), "site": s.domain, "visitor": fmt.Sprint("v", visitor), "user_agent": agents[visitor%len(agents)],
				"timestamp": begin.Add(time.Duration(float64(span) * float64(sent+i) / float64(views))).UTC().Format(time.RFC3339Nano),
				"url":       fmt.Sprintf("https://%s/page-%d", s.domain, int(r.ExpFloat64()*20)), "country": countries[visitor%len(countries)],
				"referrer": []string{"", "https://www.google.com/", "https://duckduckgo.com/", "https://blog.example.org/a"}[visitor%4],
			}
		}
		if _, err := s.post("/v1/events", events, map[string]string{"Authorization": "Bearer " + key}, nil); err != nil {
			return err
		}
		sent += len(events)
		s.views = sent
	}
	return nil
}

// view sends one view and gives its token.
func (s *scene) view(visitor int) (token string, err error) {
	header, err := s.post("/api/event", map[string]string{"n": "pageview", "d": s.domain, "u": "https://" + s.domain + "/now"}, map[string]string{
		"User-Agent":      "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
		"X-Forwarded-For": fmt.Sprintf("203.0.113.%d", visitor%250+1),
	}, nil)
	if err != nil {
		return "", err
	}
	if why := header.Get("X-Footfall-Dropped"); why != "" {
		return "", fmt.Errorf("a view was dropped: %s", why)
	}
	return header.Get("X-Footfall-Token"), nil
}

func (s *scene) post(path string, body any, header map[string]string, answer any) (http.Header, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest("POST", "http://"+s.node.Addr+path, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode > 299 {
		return nil, fmt.Errorf("POST %s: %s: %s", path, res.Status, text)
	}
	if answer == nil {
		return res.Header, nil
	}
	return res.Header, json.Unmarshal(text, answer)
}
