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
	SpoolMax         *string `setting:"" placeholder:"BYTES" help:"Views that may wait on this node's disk while their shards cannot be reached; 0 chooses by the size of the disk."`
	MemoryBudget     *string `setting:"" placeholder:"BYTES" help:"Heap to aim at; 0 chooses by the machine."`
	RateLimitAddress *string `setting:"" placeholder:"N/s" help:"Views accepted of one address; 0 for no limit."`
	APIKeysPerHour   *string `setting:"" name:"api-keys-per-hour" placeholder:"N" help:"Requests of one API key in an hour; 0 for no limit."`
	SMTPURL          *string `setting:"" name:"smtp-url" placeholder:"URL" help:"Server that sends reports, as smtp://user:password@mail.example.com:587; better in the environment."`
	MailFrom         *string `setting:"" placeholder:"ADDR" help:"Whom the reports are from, as \"Footfall <stats@example.com>\"."`
	WebhookPrivate   *string `setting:"" type:"switch" help:"Let reports go to webhooks on private addresses, too."`
	LogLevel         *string `setting:"" placeholder:"LEVEL" help:"debug, info, warn or error."`
	LogFormat        *string `setting:"" placeholder:"FORMAT" help:"text or json."`

	Name             *string `setting:"" placeholder:"NAME" help:"What people call this node; the machine's name unless given."`
	ClusterListen    *string `setting:"" placeholder:"ADDR" help:"Address and port for the other nodes; makes this node one of a cluster."`
	ClusterAdvertise *string `setting:"" placeholder:"ADDR" help:"Address and port where the other nodes dial, when it is another one."`
	ClusterCA        *string `setting:"" name:"cluster-ca" placeholder:"FILE" help:"Certificate of the nodes' authority, PEM; see footfall cluster init-ca."`
	ClusterCert      *string `setting:"" placeholder:"FILE" help:"Certificate of this node, PEM."`
	ClusterKey       *string `setting:"" placeholder:"FILE" help:"Key of this node's certificate, PEM."`
	ClusterInsecure  *string `setting:"" type:"switch" help:"Let nodes speak without certificates beyond loopback."`
	ClusterVia       *string `setting:"" placeholder:"FILE" help:"Addresses to dial instead of those advertised; in development builds only."`
	Discovery        *string `setting:"" placeholder:"WAY" help:"How nodes find one another: none, static or consul."`
	Peers            *string `setting:"" placeholder:"ADDR,…" help:"Cluster addresses of the first nodes, for static; the first of them may found."`
	Found            *string `setting:"" type:"switch" help:"Found a new cluster if no member can be found; else an empty node waits until it can join."`
	Replicas         *string `setting:"" placeholder:"N" help:"Copies of each shard once there are nodes for them: 1, 3 or 5."`
	ReplaceAfter     *string `setting:"" placeholder:"TIME" help:"How long a node may be silent before its copies are made anew elsewhere."`
	Roles            *string `setting:"" placeholder:"ROLE,…" help:"edge accepts views and questions, data keeps shards."`
	Zone             *string `setting:"" placeholder:"NAME" help:"What fails together, as a rack; copies are spread over zones."`
	Region           *string `setting:"" placeholder:"NAME" help:"Where the node is."`
	ConsulAddress    *string `setting:"" placeholder:"ADDR" help:"Consul's agent: host:port, or a URL with https."`
	ConsulToken      *string `setting:"" placeholder:"TOKEN" help:"Consul's ACL token; better in the environment."`
	ConsulService    *string `setting:"" placeholder:"NAME" help:"Service of the nodes in Consul; NAME-edge is the balancers'."`
	ConsulDatacenter *string `setting:"" placeholder:"NAME" help:"Consul's datacenter; the agent's unless given."`
	ConsulCA         *string `setting:"" name:"consul-ca" placeholder:"FILE" help:"Certificate of Consul's authority, PEM."`
	ConsulCert       *string `setting:"" placeholder:"FILE" help:"Certificate to show to Consul, PEM."`
	ConsulKey        *string `setting:"" placeholder:"FILE" help:"Key of that certificate, PEM."`
}

// switchMapper reads a flag that may stand alone, as --found, into a text.
type switchMapper struct{}

// IsBool makes the parser take no value from the next argument.
func (switchMapper) IsBool() bool { return true }

func (switchMapper) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	text := "true"
	if ctx.Scan.Peek().Type == kong.FlagValueToken {
		text = fmt.Sprint(ctx.Scan.Pop().Value)
	}
	target.Set(reflect.ValueOf(&text))
	return nil
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
