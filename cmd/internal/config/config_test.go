package config

import (
	"errors"
	"log/slog"
	"net/mail"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func files(content map[string]string) func(string) ([]byte, error) {
	return func(path string) ([]byte, error) {
		text, ok := content[path]
		if !ok {
			return nil, &os.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
		}
		return []byte(text), nil
	}
}

func TestDefaults(t *testing.T) {
	got, err := Load(nil, []string{"PATH=/bin", "HOME="}, files(nil))
	if err != nil {
		t.Fatal(err)
	}
	want := Serve{
		Data: "./data", Listen: "127.0.0.1:8080",
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		LogLevel:       slog.LevelInfo, LogFormat: "text",
		RateLimitAddress: Rate{1000}, APIKeysPerHour: 600,
		Cluster: Cluster{
			Discovery: "none", Consul: Consul{Address: "127.0.0.1:8500", Service: "footfall"}, Edge: true, Data: true, Replicas: 3,
			ReplaceAfter: 10 * time.Minute,
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	content := files(map[string]string{"f.yaml": "listen: 127.0.0.1:1\ndata: /file\nlog-format: json\n"})
	flags := map[string]string{"config": "f.yaml", "listen": "127.0.0.1:3"}
	env := []string{"FOOTFALL_LISTEN=127.0.0.1:2", "FOOTFALL_DATA=/env"}
	for _, step := range []struct {
		flags        map[string]string
		env          []string
		listen, data string
		format       string
	}{
		{flags, env, "127.0.0.1:3", "/env", "json"},
		{map[string]string{"config": "f.yaml"}, env, "127.0.0.1:2", "/env", "json"},
		{map[string]string{"config": "f.yaml"}, nil, "127.0.0.1:1", "/file", "json"},
		{nil, []string{"FOOTFALL_CONFIG=f.yaml"}, "127.0.0.1:1", "/file", "json"},
		{nil, []string{"FOOTFALL_CONFIG=", "FOOTFALL_LISTEN="}, "127.0.0.1:8080", "./data", "text"},
	} {
		got, err := Load(step.flags, step.env, content)
		if err != nil {
			t.Errorf("%+v: %v", step, err)
			continue
		}
		if got.Listen != step.listen || got.Data != step.data || got.LogFormat != step.format {
			t.Errorf("%+v: got %s %s %s", step, got.Listen, got.Data, got.LogFormat)
		}
	}
}

func TestEverySettingCanComeFromEverySource(t *testing.T) {
	values := map[string]string{
		"data": "/d", "listen": ":80", "trusted-proxies": "10.0.0.0/8", "geoip-db": "g.mmdb", "disk-reserve": "1GiB", "spool-max": "1GiB",
		"public-url": "https://stats.example.com/", "log-level": "warn", "log-format": "json", "rate-limit-address": "5/s",
		"api-keys-per-hour": "7", "memory-budget": "2G", "smtp-url": "smtps://u:p%40w@mail.example.com", "mail-from": "Stats <stats@example.com>", "webhook-private": "true", "name": "n1", "zone": "z1", "region": "r1",
		"cluster-listen": "127.0.0.1:7001", "cluster-advertise": "127.0.0.1:7002",
		"cluster-ca": "ca", "cluster-cert": "cert", "cluster-key": "key", "cluster-insecure": "true",
		"discovery": "consul", "peers": "127.0.0.1:7003,127.0.0.1:7004", "found": "true", "roles": "data", "replicas": "5", "replace-after": "1m",
		"consul-address": "https://127.0.0.1:8501", "consul-token": "t", "consul-service": "s", "consul-datacenter": "d",
		"consul-ca": "cca", "consul-cert": "ccert", "consul-key": "ckey",
	}
	// What some need besides; the environment gives it.
	clustered := []string{"FOOTFALL_CLUSTER_LISTEN=127.0.0.1:7000"}
	consul := append(clustered, "FOOTFALL_DISCOVERY=consul")
	static := append(clustered, "FOOTFALL_DISCOVERY=static", "FOOTFALL_PEERS=127.0.0.1:9")
	files3 := append(clustered, "FOOTFALL_CLUSTER_CA=a", "FOOTFALL_CLUSTER_CERT=b", "FOOTFALL_CLUSTER_KEY=c")
	pair := append(consul, "FOOTFALL_CONSUL_CERT=a", "FOOTFALL_CONSUL_KEY=b")
	needs := map[string][]string{
		"cluster-advertise": clustered, "cluster-insecure": clustered, "discovery": clustered, "roles": clustered, "replicas": clustered, "replace-after": clustered,
		"cluster-ca": files3, "cluster-cert": files3, "cluster-key": files3, "peers": static, "found": consul,
		"consul-address": consul, "consul-token": consul, "consul-service": consul, "consul-datacenter": consul, "consul-ca": consul,
		"consul-cert": pair, "consul-key": pair,
		"smtp-url": {"FOOTFALL_MAIL_FROM=a@b.example", "FOOTFALL_SMTP_URL=smtp://localhost"}, "mail-from": {"FOOTFALL_SMTP_URL=smtp://localhost", "FOOTFALL_MAIL_FROM=a@b.example"},
	}
	var want Serve
	for _, name := range Flags() {
		if name == "config" || name == "cluster-via" { // the latter has a test of its own
			continue
		}
		value, ok := values[name]
		if !ok {
			t.Errorf("%s has no value in this test", name)
			continue
		}
		need := needs[name]
		before, err0 := Load(nil, need, files(nil))
		if err0 != nil {
			t.Fatal(err0)
		}
		flag, err1 := Load(map[string]string{name: value}, need, files(nil))
		env, err2 := Load(nil, append(slices.Clone(need), Env(name)+"="+value), files(nil))
		// The environment beats the file.
		need = slices.DeleteFunc(slices.Clone(need), func(pair string) bool { return strings.HasPrefix(pair, Env(name)+"=") })
		file, err3 := Load(map[string]string{"config": "c"}, need, files(map[string]string{"c": name + ": " + value + "\n"}))
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if reflect.DeepEqual(flag, before) || !reflect.DeepEqual(flag, env) || !reflect.DeepEqual(flag, file) {
			t.Errorf("%s: default %+v\nflag %+v\nenv  %+v\nfile %+v", name, before, flag, env, file)
		}
	}
	delete(values, "cluster-insecure") // contradicts the files
	delete(values, "peers")            // contradicts Consul
	all, err := Load(values, nil, files(nil))
	if err != nil {
		t.Fatal(err)
	}
	want = Serve{Data: "/d", Listen: ":80", TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, GeoIPDB: "g.mmdb",
		DiskReserve: 1 << 30, SpoolMax: 1 << 30, PublicURL: "https://stats.example.com", LogLevel: slog.LevelWarn, LogFormat: "json",
		RateLimitAddress: Rate{5}, APIKeysPerHour: 7, MemoryBudget: 2 << 30, Name: "n1", WebhookPrivate: true,
		Mail: Mail{Address: "mail.example.com:465", TLS: true, User: "u", Password: "p@w", From: mail.Address{Name: "Stats", Address: "stats@example.com"}},
		Cluster: Cluster{
			Listen: "127.0.0.1:7001", Advertise: "127.0.0.1:7002", CA: "ca", Cert: "cert", Key: "key", Discovery: "consul",
			Consul: Consul{Address: "https://127.0.0.1:8501", Token: "t", Service: "s", Datacenter: "d", CA: "cca", Cert: "ccert", Key: "ckey"},
			Zone:   "z1", Region: "r1", Data: true, Found: true, Replicas: 5, ReplaceAfter: time.Minute,
		}}
	if !reflect.DeepEqual(all, want) {
		t.Errorf("got  %+v\nwant %+v", all, want)
	}
}

func TestWrongValuesNameTheirPlace(t *testing.T) {
	for _, c := range []struct {
		flags  map[string]string
		env    []string
		file   string
		source Source
		text   string
	}{
		{map[string]string{"listen": "8080"}, nil, "", FromFlag, `--listen: "8080" is not host:port`},
		{map[string]string{"listen": "a:70000"}, nil, "", FromFlag, `--listen: "a:70000": the port`},
		{map[string]string{"data": ""}, nil, "", FromFlag, `--data: is empty`},
		{map[string]string{"log-level": "loud"}, nil, "", FromFlag, `--log-level: "loud" is none of`},
		{map[string]string{"trusted-proxies": "10.0.0.0/8,nobody"}, nil, "", FromFlag, `--trusted-proxies: "nobody" is not a network`},
		{map[string]string{"public-url": "stats.example.com"}, nil, "", FromFlag, `--public-url: "stats.example.com" is not like`},
		{map[string]string{"rate-limit-address": "fast"}, nil, "", FromFlag, `--rate-limit-address: "fast" is not a rate`},
		{map[string]string{"config": "missing.yaml"}, nil, "", FromFile, `--config: open missing.yaml`},
		{map[string]string{"listn": "x"}, nil, "", FromFlag, `--listn: unknown, did you mean listen?`},
		{nil, []string{"FOOTFALL_LOG_FORMAT=xml"}, "", FromEnvironment, `FOOTFALL_LOG_FORMAT: "xml" is neither`},
		{nil, []string{"FOOTFALL_LISTN=:80"}, "", FromEnvironment, `FOOTFALL_LISTN: unknown environment variable, did you mean FOOTFALL_LISTEN?`},
		{nil, []string{"FOOTFALL_ZZZ=1", "FOOTFALL_QQQ=1"}, "", FromEnvironment, `FOOTFALL_QQQ: unknown environment variable`},
		{nil, nil, "listn: :80\n", FromFile, `f line 1: listn: unknown key, did you mean listen?`},
		{nil, nil, "# all\n\ntrusted_proxies: []\n", FromFile, `f line 3: trusted_proxies: unknown key, did you mean trusted-proxies?`},
		{nil, nil, "unheard-of: 1\n", FromFile, `f line 1: unheard-of: unknown key`},
		{nil, nil, "data: /a\nlisten: nonsense\n", FromFile, `f line 2: listen: "nonsense" is not host:port`},
		{nil, nil, "data: /a\ndata: /b\n", FromFile, `f line 2: data: given in line 1 already`},
		{nil, nil, "data:\n", FromFile, `f line 1: data: has no value`},
		{nil, nil, "data: [a, b]\n", FromFile, `f line 1: data: must be one value`},
		{nil, nil, "data: {a: b}\n", FromFile, `f line 1: data: must be one value`},
		{nil, nil, "config: other.yaml\n", FromFile, `f line 1: config: a file cannot name another`},
		{nil, nil, "- a\n", FromFile, `f line 1: must be lines of key: value`},
		{nil, nil, "a: b: c\n", FromFile, `f: yaml`},
		{nil, nil, "data: a\n---\ndata: b\n", FromFile, `f: must hold one YAML document`},
		{map[string]string{"data": "/good"}, nil, "listen: bad\n", FromFile, `f line 1: listen`},
	} {
		flags := map[string]string{}
		for k, v := range c.flags {
			flags[k] = v
		}
		if c.file != "" {
			flags["config"] = "f"
		}
		_, err := Load(flags, c.env, files(map[string]string{"f": c.file}))
		var e *Error
		if !errors.As(err, &e) || e.Source != c.source || !strings.HasPrefix(e.Text, c.text) {
			t.Errorf("flags %v env %v file %q:\ngot  %v\nwant %s…", c.flags, c.env, c.file, err, c.text)
		}
	}
}

func TestFileTakesListsCommentsAndNothing(t *testing.T) {
	for text, want := range map[string][]string{
		"trusted-proxies:\n  - 10.0.0.0/8\n  - 192.168.1.7\n": {"10.0.0.0/8", "192.168.1.7/32"},
		"trusted-proxies: 10.1.2.3/8, fd00::/8 # two\n":       {"10.0.0.0/8", "fd00::/8"},
		"trusted-proxies: []\n":                               nil,
		"# nothing\n":                                         {"127.0.0.0/8", "::1/128"},
		"":                                                    {"127.0.0.0/8", "::1/128"},
	} {
		got, err := Load(map[string]string{"config": "f"}, nil, files(map[string]string{"f": text}))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		var list []string
		for _, p := range got.TrustedProxies {
			list = append(list, p.String())
		}
		if !reflect.DeepEqual(list, want) {
			t.Errorf("%q: got %v, want %v", text, list, want)
		}
	}
}

func TestVariablesOfOtherCommandsAreLeftAlone(t *testing.T) {
	if _, err := Load(nil, []string{"FOOTFALL_SERVER=https://x", "FOOTFALL_KEY=ff_x"}, files(nil)); err != nil {
		t.Error(err)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1024": 1024, "512MiB": 512 << 20, "1.5GiB": 3 << 29, "2G": 2 << 30, "2k": 2048, "1 KB": 1000, "3TB": 3e12, "10B": 10,
		"": -1, "MiB": -1, "-1": -1, "1e3": -1, "1.5": -1, "1XB": -1, "5KiBB": -1, "99999999999TiB": -1, "NaNG": -1, "1Bi": -1,
	} {
		got, err := ParseBytes(text)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%q: got %d (%v), want %d", text, got, err, want)
		}
	}
}

func TestRates(t *testing.T) {
	for text, want := range map[string]float64{
		"0": 0, "0/s": 0, "1000/s": 1000, "60/m": 1, "3600/h": 1,
		"": -1, "5": -1, "5/": -1, "/s": -1, "-5/s": -1, "5/d": -1, "1.5/s": -1,
	} {
		got, err := ParseRate(text)
		if err != nil {
			got.PerSecond = -1
		}
		if got.PerSecond != want {
			t.Errorf("%q: got %v (%v), want %v", text, got.PerSecond, err, want)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add("listen: :80\ntrusted-proxies: [10.0.0.0/8]\n")
	f.Add("a: &x 1\nb: *x\n")
	f.Add("cluster-listen: 127.0.0.1:1\npeers: [a:1, b:2]\ndiscovery: static\ncluster-insecure: true\n")
	f.Add("disk-reserve: 1.5GiB\nrate-limit-address: 5/m\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Load(map[string]string{"config": "f"}, nil, files(map[string]string{"f": text}))
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Source != FromFile {
				t.Fatalf("%q: %v is not an error of the file", text, err)
			}
			return
		}
		c := got.Cluster
		if c.Replicas%2 != 1 || !c.Edge && !c.Data || !c.Enabled() && (c.Found || c.Discovery != DiscoveryNone || c.TLS()) ||
			c.Enabled() && !c.TLS() && !c.Insecure && !loopback(c.Listen) {
			t.Fatalf("%q gives the invalid %+v", text, c)
		}
		if got.Data == "" || got.Listen == "" || got.DiskReserve < 0 || got.MemoryBudget < 0 || got.APIKeysPerHour < 0 {
			t.Fatalf("%q gives the invalid %+v", text, got)
		}
	})
}

func TestALimitBelowOneASecondStaysALimit(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "600/h": 1, "60/m": 1, "90/m": 2, "5/s": 5} {
		r, err := ParseRate(text)
		if got := r.WholePerSecond(); err != nil || got != want {
			t.Errorf("%s: got %d %v, want %d", text, got, err, want)
		}
	}
}
