package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"footfall/cmd/internal/client"
)

type siteCommand struct {
	Add    siteAdd    `cmd:"" help:"Make a site and print the snippet for its pages."`
	List   siteList   `cmd:"" help:"List sites."`
	Show   siteShow   `cmd:"" help:"Show a site's settings and its snippet."`
	Remove siteRemove `cmd:"" help:"Remove a site and all of its numbers."`
	Erase  siteErase  `cmd:"" help:"Erase all that is known of one visitor."`
}

// siteAnswer is a site as the node tells it.
type siteAnswer struct {
	Domain           string   `json:"domain"`
	Timezone         string   `json:"timezone"`
	Created          moment   `json:"created"`
	Public           bool     `json:"public"`
	Hostnames        []string `json:"hostnames"`
	BlockedPages     []string `json:"blocked_pages"`
	BlockedIPs       []string `json:"blocked_ips"`
	BlockedCountries []string `json:"blocked_countries"`
	Snippet          string   `json:"snippet"`
}

func sitePath(domain string) string { return "/v1/sites/" + url.PathEscape(domain) }

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

type siteAdd struct {
	Domain   string `arg:"" help:"Domain of the site, as visitors see it."`
	Timezone string `placeholder:"ZONE" default:"UTC" help:"IANA time zone in which its days begin (default UTC)."`
	Public   bool   `help:"Anyone may read its numbers."`
	remote
}

// Run makes the site. The node's answer to reading it has the snippet.
func (c siteAdd) Run(ctx context.Context, w *world) error {
	node, err := c.open(w)
	if err != nil {
		return err
	}
	defer node.Close()
	answer, err := node.Call(ctx, http.MethodPost, "/v1/sites", map[string]any{"domain": c.Domain, "timezone": c.Timezone, "public": c.Public})
	if err != nil {
		return err
	}
	var site siteAnswer
	if err := understand(answer, &site); err != nil {
		return err
	}
	if site.Snippet == "" && site.Domain != "" {
		if whole, err := node.Call(ctx, http.MethodGet, sitePath(site.Domain), nil); err == nil {
			answer = whole
			if err := understand(answer, &site); err != nil {
				return err
			}
		}
	}
	if c.JSON {
		return printJSON(w.stdout, answer, nil)
	}
	fmt.Fprintf(w.stdout, "%s added, its days begin at midnight in %s.\n", site.Domain, site.Timezone)
	if site.Snippet != "" {
		fmt.Fprintf(w.stdout, "Put this into the head of its pages:\n\n%s\n", site.Snippet)
	}
	return nil
}

type siteList struct{ remote }

// Run lists the sites that the caller may see.
func (c siteList) Run(ctx context.Context, w *world) error {
	node, err := c.open(w)
	if err != nil {
		return err
	}
	defer node.Close()
	list, err := allSites(ctx, node)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(w.stdout, nil, map[string]any{"sites": list})
	}
	var rows [][]string
	for _, text := range list {
		var s siteAnswer
		if err := understand(text, &s); err != nil {
			return err
		}
		rows = append(rows, []string{s.Domain, s.Timezone, s.Created.String(), yesNo(s.Public)})
	}
	return printTable(w.stdout, []string{"DOMAIN", "TIME ZONE", "CREATED", "PUBLIC"}, rows)
}

// allSites reads the list page by page; a site is as the node tells it.
func allSites(ctx context.Context, node *client.Client) ([]json.RawMessage, error) {
	all := []json.RawMessage{}
	for path := "/v1/sites"; ; {
		answer, err := node.Call(ctx, http.MethodGet, path, nil)
		if err != nil {
			return nil, err
		}
		var page struct {
			Sites []json.RawMessage `json:"sites"`
			Next  string            `json:"next"`
		}
		if err := understand(answer, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Sites...)
		next := "/v1/sites?after=" + url.QueryEscape(page.Next)
		if page.Next == "" || next == path {
			return all, nil
		}
		path = next
	}
}

type siteShow struct {
	Domain string `arg:"" help:"Domain of the site."`
	remote
}

// Run shows one site.
func (c siteShow) Run(ctx context.Context, w *world) error {
	node, err := c.open(w)
	if err != nil {
		return err
	}
	defer node.Close()
	answer, err := node.Call(ctx, http.MethodGet, sitePath(c.Domain), nil)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(w.stdout, answer, nil)
	}
	var s siteAnswer
	if err := understand(answer, &s); err != nil {
		return err
	}
	rows := [][]string{
		{"time zone", s.Timezone}, {"created", s.Created.String()}, {"public", yesNo(s.Public)},
		{"hostnames", orDash(strings.Join(s.Hostnames, " "))},
		{"blocked pages", orDash(strings.Join(s.BlockedPages, " "))},
		{"blocked addresses", orDash(strings.Join(s.BlockedIPs, " "))},
		{"blocked countries", orDash(strings.Join(s.BlockedCountries, " "))},
	}
	if err := printTable(w.stdout, []string{"domain", s.Domain}, rows); err != nil {
		return err
	}
	if s.Snippet != "" {
		_, err = fmt.Fprintf(w.stdout, "\n%s\n", s.Snippet)
	}
	return err
}

type siteRemove struct {
	Domain string `arg:"" help:"Domain of the site."`
	Yes    bool   `help:"Do not ask."`
	remote
}

// Run removes the site; a person at a terminal is asked first.
func (c siteRemove) Run(ctx context.Context, w *world) error {
	node, err := c.open(w)
	if err != nil {
		return err
	}
	defer node.Close()
	if w.stdinIsTerminal && !c.Yes {
		fmt.Fprintf(w.stderr, "All numbers of %s will be gone. Type the domain to go on: ", c.Domain)
		typed, err := bufio.NewReader(w.stdin).ReadString('\n')
		if err != nil && typed == "" {
			return fmt.Errorf("read the answer: %w", err)
		}
		if strings.TrimSpace(typed) != c.Domain {
			return errors.New("nothing removed")
		}
	}
	answer, err := node.Call(ctx, http.MethodDelete, sitePath(c.Domain), nil)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(w.stdout, answer, map[string]string{"removed": c.Domain})
	}
	_, err = fmt.Fprintf(w.stdout, "%s removed.\n", c.Domain)
	return err
}
