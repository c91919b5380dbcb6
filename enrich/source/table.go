package source

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed hosts.txt
var hostsText string

//go:embed tags.txt
var tagsText string

//go:embed spam.txt
var spamText string

// Category is what kind of place a source is; channels are decided by it.
type Category uint8

const (
	Other Category = iota
	Search
	Social
	Video
	Shopping
	AI
	Email
	Audio
)

// Source is a place that sends visitors.
type Source struct {
	Name     string // as it is shown, "Google"
	Category Category
}

// Table holds the facts: hosts, tags and spam. It is immutable and safe for
// concurrent use.
type Table struct {
	hosts     map[string]host   // "google.com", "com.twitter.android"
	countries map[string]host   // "google" of "google.*"
	tags      map[string]Source // "fb"; lower case
	spam      map[string]struct{}
	names     map[string]Source
}

type host struct {
	Source
	alone bool // without its subdomains
}

// New builds the table from the embedded facts. An error is a mistake in them
// and found by the tests.
func New() (*Table, error) {
	t := &Table{
		hosts: map[string]host{}, countries: map[string]host{}, tags: map[string]Source{},
		spam: map[string]struct{}{}, names: map[string]Source{},
	}
	if err := t.readHosts(); err != nil {
		return nil, err
	}
	if err := t.readTags(); err != nil {
		return nil, err
	}
	for line := range lines(spamText) {
		t.spam[line] = struct{}{}
	}
	return t, nil
}

// Hosts is how many hosts and patterns are known.
func (t *Table) Hosts() int { return len(t.hosts) + len(t.countries) }

// Spammers is how many spam domains are known.
func (t *Table) Spammers() int { return len(t.spam) }

func (t *Table) readHosts() error {
	categories := map[string]Category{
		"[search]": Search, "[social]": Social, "[video]": Video, "[shopping]": Shopping,
		"[ai]": AI, "[email]": Email, "[audio]": Audio, "[other]": Other,
	}
	category := Other
	for line := range lines(hostsText) {
		if line[0] == '[' {
			c, ok := categories[line]
			if !ok {
				return fmt.Errorf("hosts.txt: unknown category %s", line)
			}
			category = c
			continue
		}
		name, rest, tag := strings.Cut(line, " = ")
		if !tag {
			if name, rest, _ = strings.Cut(line, " ~ "); rest == "" {
				return fmt.Errorf("hosts.txt: %q is not Name = hosts", line)
			}
		}
		s := Source{Name: name, Category: category}
		if _, twice := t.names[name]; twice {
			return fmt.Errorf("hosts.txt: %s stands there twice", name)
		}
		t.names[name] = s
		if tag {
			t.tags[strings.ToLower(name)] = s
		}
		for text := range strings.FieldsSeq(rest) {
			if err := t.addHost(text, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *Table) addHost(text string, s Source) error {
	key, alone := strings.CutPrefix(text, "!")
	into := t.hosts
	if base, every := strings.CutSuffix(key, ".*"); every {
		key, into = base, t.countries
	}
	if _, twice := into[key]; twice || key == "" || key != strings.ToLower(key) {
		return fmt.Errorf("hosts.txt: host %q of %s stands there twice or is not in lower case", text, s.Name)
	}
	into[key] = host{Source: s, alone: alone}
	return nil
}

func (t *Table) readTags() error {
	for line := range lines(tagsText) {
		name, rest, _ := strings.Cut(line, " = ")
		s, ok := t.names[name]
		if !ok {
			return fmt.Errorf("tags.txt: %q is no name of hosts.txt", name)
		}
		for tag := range strings.FieldsSeq(rest) {
			if old, twice := t.tags[tag]; twice && old != s {
				return fmt.Errorf("tags.txt: %q means %s and %s", tag, old.Name, name)
			}
			t.tags[tag] = s
		}
	}
	return nil
}

// lines gives the lines of text that say something.
func lines(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' && !yield(line) {
				return
			}
		}
	}
}

// Lookup finds the source that h is a host of; h is in lower case without
// "www.". The most specific host decides. No allocation.
func (t *Table) Lookup(h string) (Source, bool) {
	for s := h; ; {
		if found, ok := t.hosts[s]; ok && (!found.alone || s == h) {
			return found.Source, true
		}
		if base := withoutCountry(s); base != "" {
			if found, ok := t.countries[base]; ok && (!found.alone || s == h) {
				return found.Source, true
			}
		}
		dot := strings.IndexByte(s, '.')
		if dot < 0 {
			return Source{}, false
		}
		s = s[dot+1:]
	}
}

// Spam tells whether h or a domain above it is on the spam list.
func (t *Table) Spam(h string) bool {
	for s := h; ; {
		if _, ok := t.spam[s]; ok {
			return true
		}
		dot := strings.IndexByte(s, '.')
		if dot < 0 {
			return false
		}
		s = s[dot+1:]
	}
}

// Tag says what a utm_source, source or ref means: an alias, a source's name in
// any case, or a host. What nobody knows keeps its own text and is Other.
func (t *Table) Tag(text string) Source {
	lower := strings.ToLower(text)
	if s, ok := t.tags[lower]; ok {
		return s
	}
	if strings.IndexByte(lower, '.') > 0 {
		if r := t.Read(text); r.Known {
			return Source{Name: r.Name, Category: r.Category}
		}
	}
	return Source{Name: text, Category: Other}
}

// withoutCountry cuts ".de", ".com", ".co.uk" or ".com.br" off, "" if h ends in
// none of them.
func withoutCountry(h string) string {
	i := strings.LastIndexByte(h, '.')
	if i <= 0 {
		return ""
	}
	last := h[i+1:]
	if last == "com" {
		return h[:i]
	}
	if len(last) != 2 {
		return ""
	}
	head := h[:i]
	for _, second := range [...]string{".co", ".com", ".ne", ".or", ".net"} {
		if base, ok := strings.CutSuffix(head, second); ok {
			return base
		}
	}
	return head
}
