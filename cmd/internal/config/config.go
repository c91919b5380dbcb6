// Package config is how a node is configured: flags, environment variables and
// a file become one Serve. A flag beats the environment, the environment beats
// the file, the file beats the default; what nobody knows is an error and never
// passes in silence. It opens nothing but the file it is given. Start at Load.
package config

import (
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"sort"
	"strings"
)

// Serve is the configuration of a node. Every value is valid when it comes from
// Load.
type Serve struct {
	Data   string // directory of everything kept; made when missing
	Listen string // "host:port"; an empty host is every address of the machine

	// TrustedProxies are the peers whose X-Forwarded-For and its kin are believed.
	TrustedProxies []netip.Prefix
	GeoIPDB        string // path of an .mmdb file; "" for none
	DiskReserve    int64  // bytes kept free; 0 chooses by the size of the disk
	SpoolMax       int64  // bytes of views that may wait for their shards; 0 chooses by the size of the disk
	PublicURL      string // "https://stats.example.com" without a slash at its end; "" derives it from Listen

	LogLevel  slog.Level
	LogFormat string // "text" or "json"

	RateLimitAddress Rate  // beacons of one address
	APIKeysPerHour   int   // requests of one API key in an hour; 0 is no limit
	MemoryBudget     int64 // bytes of heap to aim at; 0 chooses by the machine

	Mail           Mail // how reports are sent
	WebhookPrivate bool // reports may go to webhooks on private addresses

	Name    string  // of the node, for people; "" takes the machine's
	Cluster Cluster // zero but for its defaults when the node is alone
}

// Rate is a number of requests in a time. The zero value is no limit.
type Rate struct{ PerSecond float64 }

// WholePerSecond rounds up, so that a limit below one a second stays a limit.
func (r Rate) WholePerSecond() int { return int(math.Ceil(r.PerSecond)) }

// Source says where a value came from.
type Source uint8

const (
	FromFlag Source = iota
	FromEnvironment
	FromFile
)

// Error is a value that cannot be used, or a key that nobody knows.
type Error struct {
	Source Source
	Text   string // names the flag, the variable, or the file's line and key
}

func (e *Error) Error() string { return e.Text }

// EnvPrefix begins the name of every environment variable that is read.
const EnvPrefix = "FOOTFALL_"

// allowedEnv are variables with the prefix that other commands read.
var allowedEnv = []string{"FOOTFALL_SERVER", "FOOTFALL_KEY"}

// Env gives the environment variable of a flag: "geoip-db" is FOOTFALL_GEOIP_DB.
func Env(flag string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Flags lists the names of all settings, "config" included, sorted.
func Flags() []string {
	names := []string{"config"}
	for _, s := range settings {
		names = append(names, s.name)
	}
	sort.Strings(names)
	return names
}

// Default gives the default of a flag as text; "" also for a flag without one.
func Default(flag string) string {
	if s := find(flag); s != nil {
		return s.fallback
	}
	return ""
}

// Load joins defaults, the file, the environment and the flags. flags holds
// only those given, by name without dashes; environ is in the form of
// os.Environ, where an empty value counts as not set; read gives a file's
// content. Errors are *Error. Every source is checked, also where a stronger
// one has a say.
func Load(flags map[string]string, environ []string, read func(path string) ([]byte, error)) (Serve, error) {
	var s Serve
	for _, x := range settings {
		if err := x.set(&s, x.fallback); err != nil {
			panic(fmt.Sprintf("default %q of %s: %v", x.fallback, x.name, err))
		}
	}
	env, err := fromEnviron(environ)
	if err != nil {
		return s, err
	}
	path, given := flags["config"]
	source, name := FromFlag, "--config"
	if !given {
		path, given = env["config"]
		source, name = FromEnvironment, Env("config")
	}
	places := places{}
	if given {
		if path == "" {
			return s, &Error{source, name + ": is empty"}
		}
		text, err := read(path)
		if err != nil {
			return s, &Error{FromFile, fmt.Sprintf("%s: %v", name, err)}
		}
		if err := applyFile(&s, path, text, places); err != nil {
			return s, err
		}
	}
	if err := apply(&s, env, FromEnvironment, Env, places); err != nil {
		return s, err
	}
	if err := apply(&s, flags, FromFlag, flagLabel, places); err != nil {
		return s, err
	}
	if s.Cluster.viaFile != "" {
		text, err := read(s.Cluster.viaFile)
		if err == nil {
			s.Cluster.Via, err = ParseVia(string(text))
		}
		if err != nil {
			return s, places.error("cluster-via", err)
		}
	}
	if name, err := s.Cluster.check(places); err != nil {
		return s, places.error(name, err)
	}
	if name, err := s.Mail.check(places); err != nil {
		return s, places.error(name, err)
	}
	return s, nil
}

func flagLabel(name string) string { return "--" + name }

// place is where a setting's value came from.
type place struct {
	source Source
	label  string // as errors begin
	text   string
}

// places are those of the settings that were given, by name.
type places map[string]place

// says tells whether a setting was given and is not its default.
func (p places) says(name string) bool {
	given, ok := p[name]
	return ok && given.text != Default(name)
}

// error blames a setting that was given.
func (p places) error(name string, err error) error {
	return &Error{p[name].source, fmt.Sprintf("%s: %v", p[name].label, err)}
}

// apply sets values in the fixed order of settings, so that of several errors
// always the same one is told.
func apply(s *Serve, values map[string]string, source Source, label func(string) string, places places) error {
	for _, x := range settings {
		text, given := values[x.name]
		if !given {
			continue
		}
		if err := x.set(s, text); err != nil {
			return &Error{source, fmt.Sprintf("%s: %v", label(x.name), err)}
		}
		places[x.name] = place{source, label(x.name), text}
	}
	for name := range values {
		if name != "config" && find(name) == nil {
			return &Error{source, fmt.Sprintf("%s: unknown%s", label(name), suggest(name, Flags()))}
		}
	}
	return nil
}

func fromEnviron(environ []string) (map[string]string, error) {
	byVariable := map[string]string{}
	var variables []string
	for _, name := range Flags() {
		byVariable[Env(name)] = name
		variables = append(variables, Env(name))
	}
	values := map[string]string{}
	var unknown []string
	for _, pair := range environ {
		variable, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(variable, EnvPrefix) || value == "" {
			continue
		}
		if name, ok := byVariable[variable]; ok {
			values[name] = value
			continue
		}
		allowed := false
		for _, a := range allowedEnv {
			allowed = allowed || a == variable
		}
		if !allowed {
			unknown = append(unknown, variable)
		}
	}
	if len(unknown) > 0 {
		sort.Strings(unknown)
		return nil, &Error{FromEnvironment, fmt.Sprintf("%s: unknown environment variable%s", unknown[0], suggest(unknown[0], variables))}
	}
	return values, nil
}
