package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

type keyCommand struct {
	Create keyCreate `cmd:"" help:"Make an API key and print it; it is shown this once."`
	List   keyList   `cmd:"" help:"List API keys, without their secrets."`
	Revoke keyRevoke `cmd:"" help:"Make an API key useless."`
}

// keyAnswer is a key as the node tells it.
type keyAnswer struct {
	ID       ident    `json:"id"`
	Name     string   `json:"name"`
	Scopes   []string `json:"scopes"`
	Site     string   `json:"site"`
	Prefix   string   `json:"prefix"`
	Created  moment   `json:"created"`
	LastUsed moment   `json:"last_used"`
	Key      string   `json:"key"`
}

type keyCreate struct {
	Scope []string `required:"" enum:"stats:read,events:write,sites:provision" placeholder:"SCOPE" help:"What it may do: ${enum}; several by comma."`
	Site  string   `placeholder:"DOMAIN" help:"The one site it is for (default: all)."`
	Name  string   `placeholder:"N" help:"What it is for, to tell it from others."`
	remote
}

// Run makes a key and prints it alone, for scripts.
func (c keyCreate) Run(ctx context.Context, w *world) error {
	node, err := c.open(w)
	if err != nil {
		return err
	}
	defer node.Close()
	in := map[string]any{"name": c.Name, "scopes": c.Scope}
	if c.Site != "" {
		in["site"] = c.Site
	}
	answer, err := node.Call(ctx, http.MethodPost, "/v1/keys", in)
	if err != nil {
		return err
	}
	var key keyAnswer
	if err := understand(answer, &key); err != nil {
		return err
	}
	if key.Key == "" {
		return errors.New("the node's answer holds no key")
	}
	if c.JSON {
		return printJSON(w.stdout, answer, nil)
	}
	_, err = fmt.Fprintln(w.stdout, key.Key)
	return err
}

type keyList struct{ remote }

// Run lists keys.
func (c keyList) Run(ctx context.Context, w *world) error {
	node, err := c.open(w)
	if err != nil {
		return err
	}
	defer node.Close()
	answer, err := node.Call(ctx, http.MethodGet, "/v1/keys", nil)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(w.stdout, answer, nil)
	}
	var list struct {
		Keys []keyAnswer `json:"keys"`
	}
	if err := understand(answer, &list); err != nil {
		return err
	}
	var rows [][]string
	for _, k := range list.Keys {
		rows = append(rows, []string{string(k.ID), k.Prefix, orDash(k.Name), strings.Join(k.Scopes, ","), orDash(k.Site), k.Created.String(), k.LastUsed.String()})
	}
	return printTable(w.stdout, []string{"ID", "BEGINS", "NAME", "SCOPES", "SITE", "CREATED", "LAST USED"}, rows)
}

type keyRevoke struct {
	Key string `arg:"" name:"id" help:"Id of the key, the key, or its beginning."`
	remote
}

// Run revokes the one key that is meant.
func (c keyRevoke) Run(ctx context.Context, w *world) error {
	node, err := c.open(w)
	if err != nil {
		return err
	}
	defer node.Close()
	answer, err := node.Call(ctx, http.MethodGet, "/v1/keys", nil)
	if err != nil {
		return err
	}
	var list struct {
		Keys []keyAnswer `json:"keys"`
	}
	if err := understand(answer, &list); err != nil {
		return err
	}
	key, err := chooseKey(list.Keys, c.Key)
	if err != nil {
		return err
	}
	if answer, err = node.Call(ctx, http.MethodDelete, "/v1/keys/"+url.PathEscape(string(key.ID)), nil); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(w.stdout, answer, map[string]string{"revoked": string(key.ID)})
	}
	_, err = fmt.Fprintf(w.stdout, "%s (%s) revoked.\n", key.Prefix, orDash(key.Name))
	return err
}

// chooseKey finds a key by its id, or by a text that only it begins with or
// that begins with what is known of only it.
func chooseKey(keys []keyAnswer, text string) (keyAnswer, error) {
	var found []keyAnswer
	for _, k := range keys {
		if string(k.ID) == text {
			return k, nil
		}
		if k.Prefix != "" && text != "" && (strings.HasPrefix(k.Prefix, text) || strings.HasPrefix(text, k.Prefix)) {
			found = append(found, k)
		}
	}
	switch len(found) {
	case 0:
		return keyAnswer{}, fmt.Errorf("id: no key %q (footfall key list shows them)", text)
	case 1:
		return found[0], nil
	}
	return keyAnswer{}, fmt.Errorf("id: %d keys begin with %q, give the id", len(found), text)
}
