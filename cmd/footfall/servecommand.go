package main

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"footfall/cmd/internal/config"
)

// serveCommand only collects what was given; package config understands it,
// joins it with the environment and the file, and knows the defaults.
type serveCommand struct {
	Config           *string `setting:"" placeholder:"FILE" help:"Configuration in YAML: a line \"flag: value\" for any flag below."`
	Data             *string `setting:"" placeholder:"DIR" help:"Directory of everything kept."`
	Listen           *string `setting:"" placeholder:"ADDR" help:"Address and port to serve on."`
	PublicURL        *string `setting:"" name:"public-url" placeholder:"URL" help:"Address that visitors use, when a proxy stands in front."`
	TrustedProxies   *string `setting:"" placeholder:"CIDR,…" help:"Peers whose X-Forwarded-For is believed."`
	GeoIPDB          *string `setting:"" name:"geoip-db" placeholder:"FILE" help:"Database of places, .mmdb; read again when it changes."`
	DiskReserve      *string `setting:"" placeholder:"BYTES" help:"Space to keep free; 0 chooses by the size of the disk."`
	MemoryBudget     *string `setting:"" placeholder:"BYTES" help:"Heap to aim at; 0 chooses by the machine."`
	RateLimitAddress *string `setting:"" placeholder:"N/s" help:"Views accepted of one address; 0 for no limit."`
	APIKeysPerHour   *string `setting:"" name:"api-keys-per-hour" placeholder:"N" help:"Requests of one API key in an hour; 0 for no limit."`
	LogLevel         *string `setting:"" placeholder:"LEVEL" help:"debug, info, warn or error."`
	LogFormat        *string `setting:"" placeholder:"FORMAT" help:"text or json."`
}

// Help tells what a flag's line cannot.
func (serveCommand) Help() string {
	return "Every flag can also be set by its environment variable or in the configuration file. " +
		"A flag beats the environment, the environment beats the file. What nobody knows is an error."
}

// given lists the flags of the command line by name.
func (c serveCommand) given() map[string]string {
	flags := map[string]string{}
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		if p := v.Field(i).Interface().(*string); p != nil {
			flags[flagName(v.Type().Field(i))] = *p
		}
	}
	return flags
}

// flagName gives the name kong makes of a field.
func flagName(f reflect.StructField) string {
	if name := f.Tag.Get("name"); name != "" {
		return name
	}
	var name strings.Builder
	for i, r := range f.Name {
		if i > 0 && 'A' <= r && r <= 'Z' {
			name.WriteByte('-')
		}
		name.WriteString(strings.ToLower(string(r)))
	}
	return name.String()
}

// Run configures a node and runs it until ctx ends.
func (c serveCommand) Run(ctx context.Context, w *world) error {
	cfg, err := config.Load(c.given(), w.environ, os.ReadFile)
	if err != nil {
		return err
	}
	return serve(ctx, cfg)
}

// describe adds default and environment variable to the help of a setting.
func describe(value *kong.Value) string {
	if value.Tag == nil || !value.Tag.Has("setting") {
		return kong.DefaultHelpValueFormatter(value)
	}
	text := strings.TrimSuffix(value.Help, ".") + " ("
	if d := config.Default(value.Name); d != "" {
		text += fmt.Sprintf("default %s, ", d)
	}
	return text + config.Env(value.Name) + ")."
}
