package config

import (
	"errors"
	"maps"
	"strings"
	"testing"
)

func TestWhatDoesNotFitTogetherNamesASettingThatWasGiven(t *testing.T) {
	tls := []string{"FOOTFALL_CLUSTER_CA=a", "FOOTFALL_CLUSTER_CERT=b", "FOOTFALL_CLUSTER_KEY=c"}
	for _, c := range []struct {
		flags string // "name=value name=value"
		env   []string
		text  string // of the error, "" for none
	}{
		{"", nil, ""},
		{"cluster-listen=127.0.0.1:7001", nil, ""},
		{"cluster-listen=localhost:0", nil, ""},
		{"discovery=none replicas=3 roles=edge,data found=false", nil, ""}, // says nothing
		{"name=a zone=b region=c", nil, ""},
		{"cluster-listen=10.0.0.1:7001 cluster-insecure=true", nil, ""},
		{"cluster-listen=10.0.0.1:7001 discovery=consul found=yes", tls, ""},
		{"cluster-listen=:7001 cluster-advertise=10.0.0.1:7001 discovery=static peers=10.0.0.1:7001,10.0.0.2:7001", tls, ""},

		{"discovery=consul", nil, "--discovery: needs cluster-listen"},
		{"", []string{"FOOTFALL_REPLICAS=5"}, "FOOTFALL_REPLICAS: needs cluster-listen"},
		{"found=true", nil, "--found: needs cluster-listen"},
		{"peers=a:1", nil, "--peers: needs cluster-listen"},
		{"cluster-ca=x", nil, "--cluster-ca: needs cluster-listen"},
		{"consul-token=x", nil, "--consul-token: needs discovery consul, it is none"},
		{"replace-after=soon", nil, `--replace-after: "soon" is not a time of 15s or more, like 10m`},
		{"replace-after=1s", nil, `--replace-after: "1s" is not a time of 15s or more, like 10m`},
		{"replicas=2", nil, `--replicas: "2" is none of 1, 3, 5`},
		{"roles=edge,core", nil, `--roles: "core" is neither edge nor data`},
		{"roles=", nil, `--roles: "" is neither`},
		{"discovery=etcd", nil, `--discovery: "etcd" is none of none, static, consul`},
		{"found=maybe", nil, `--found: "maybe" is neither true nor false`},
		{"zone=a.b", nil, `--zone: "a.b" is not of`},
		{"zone=-a", nil, `--zone: "-a" is not of`},
		{"name=" + strings.Repeat("n", 64), nil, `--name: "n`},
		{"cluster-advertise=0.0.0.0:1", nil, `--cluster-advertise: "0.0.0.0:1" is no address that could be dialled`},
		{"cluster-advertise=a:0", nil, `--cluster-advertise: "a:0" is no address`},
		{"consul-address=ftp://a:1", nil, `--consul-address: "ftp://a:1" is neither`},
		{"consul-address=consul", nil, `--consul-address: "consul" is not host:port`},
		{"consul-service=", nil, `--consul-service: is empty`},

		{"cluster-listen=127.0.0.1:7001 peers=127.0.0.1:1", nil, "--peers: needs discovery static, it is none"},
		{"cluster-listen=127.0.0.1:7001 discovery=static", nil, "--discovery: static needs peers"},
		{"cluster-listen=127.0.0.1:7001 discovery=static peers=a:1,a:1", nil, `--peers: "a:1" is there twice`},
		{"cluster-listen=127.0.0.1:7001 found=true", nil, "--found: has no meaning with discovery none"},
		{"cluster-listen=127.0.0.1:7001 consul-address=a:1 discovery=static peers=127.0.0.1:1", nil, "--consul-address: needs discovery consul, it is static"},
		{"cluster-listen=:7001", tls, `--cluster-listen: ":7001" is no address that other nodes could dial`},
		{"cluster-listen=[::]:7001", tls, `--cluster-listen: "[::]:7001" is no address that other`},
		{"cluster-listen=10.0.0.1:7001", nil, `--cluster-listen: "10.0.0.1:7001" is not of loopback: needs cluster-ca`},
		{"cluster-listen=127.0.0.1:7001 cluster-advertise=node1:7001", nil, `--cluster-advertise: "node1:7001" is not of loopback`},
		{"cluster-listen=127.0.0.1:7001 discovery=static peers=b:1", nil, `--peers: "b:1" is not of loopback`},
		{"cluster-listen=127.0.0.1:7001 cluster-cert=x", nil, "--cluster-cert: needs cluster-ca and cluster-key too"},
		{"cluster-listen=127.0.0.1:7001", tls[:2], "FOOTFALL_CLUSTER_CA: needs cluster-key too"},
		{"cluster-listen=127.0.0.1:7001 cluster-insecure=true", tls, "--cluster-insecure: contradicts cluster-ca"},
		{"cluster-listen=127.0.0.1:7001 discovery=consul consul-key=x", nil, "--consul-key: needs consul-cert too"},
	} {
		flags := map[string]string{}
		for _, pair := range strings.Fields(c.flags) {
			name, value, _ := strings.Cut(pair, "=")
			flags[name] = value
		}
		_, err := Load(flags, c.env, files(nil))
		var e *Error
		if c.text == "" && err != nil || c.text != "" && (!errors.As(err, &e) || !strings.HasPrefix(e.Text, c.text)) {
			t.Errorf("%s %v:\ngot  %v\nwant %s", c.flags, c.env, err, c.text)
		}
		if e != nil && (e.Source == FromFlag) != strings.HasPrefix(e.Text, "--") {
			t.Errorf("%s: the source of %v is %d", c.flags, e, e.Source)
		}
	}
	_, err := Load(map[string]string{"config": "f"}, nil, files(map[string]string{"f": "data: x\nfound: true\n"}))
	if err == nil || err.Error() != "f line 2: found: needs cluster-listen" {
		t.Errorf("in a file: %v", err)
	}
}

func TestAddressesToDialInsteadAreForDevelopment(t *testing.T) {
	content := files(map[string]string{"v": "# node 2\n10.0.0.2:7001 127.0.0.1:9001\n\n10.0.0.3:7001\t127.0.0.1:9002\n"})
	got, err := Load(map[string]string{"cluster-listen": "127.0.0.1:1", "cluster-via": "v"}, nil, content)
	if !development {
		if err == nil || !strings.HasPrefix(err.Error(), "--cluster-via: only development builds") {
			t.Errorf("a release takes it: %v", err)
		}
		return
	}
	want := map[string]string{"10.0.0.2:7001": "127.0.0.1:9001", "10.0.0.3:7001": "127.0.0.1:9002"}
	if err != nil || !maps.Equal(got.Cluster.Via, want) {
		t.Errorf("got %v %v", got.Cluster.Via, err)
	}
	if _, err := Load(map[string]string{"cluster-listen": "127.0.0.1:1", "cluster-via": "w"}, nil, content); err == nil ||
		!strings.HasPrefix(err.Error(), "--cluster-via: open w") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestViaNamesItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "",
		"a:1 b:2":            "",
		"a:1":                "line 1: must be two addresses",
		"\na:1 b:2 c:3":      "line 2: must be two",
		"a:1 b":              `line 1: "b" is not host:port`,
		"a:1 b:2\na:1 b:3\n": "line 2: a:1 is there twice",
	} {
		_, err := ParseVia(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func FuzzVia(f *testing.F) {
	f.Add("a:1 b:2\n# c\n")
	f.Add("a:1")
	f.Fuzz(func(t *testing.T, text string) {
		via, err := ParseVia(text)
		if err != nil {
			return
		}
		for from, to := range via {
			if err := errors.Join(checkPeer(from), checkPeer(to)); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}
