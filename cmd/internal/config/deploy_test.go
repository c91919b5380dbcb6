package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// What deploy/ offers to operators is understood by the program.
func TestTheFilesInDeployAreUnderstood(t *testing.T) {
	deploy := filepath.Join("..", "..", "..", "deploy")
	got, err := Load(map[string]string{"config": filepath.Join(deploy, "systemd", "footfall.yaml")}, nil, os.ReadFile)
	if err != nil || !got.Cluster.Enabled() || !got.Cluster.TLS() || got.Cluster.Discovery != DiscoveryConsul {
		t.Errorf("footfall.yaml: %+v %v", got, err)
	}

	text, err := os.ReadFile(filepath.Join(deploy, "container", "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var compose struct {
		Services map[string]struct {
			Image       string
			Environment map[string]string
		}
	}
	if err := yaml.Unmarshal(text, &compose); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for name, service := range compose.Services {
		if service.Image != "footfall" {
			continue
		}
		environ := []string{"FOOTFALL_DATA=/data", "FOOTFALL_LISTEN=:8080"} // as the Containerfile sets them
		for variable, value := range service.Environment {
			environ = append(environ, variable+"="+value)
		}
		got, err := Load(nil, environ, os.ReadFile)
		if err != nil || got.Name != name || got.Cluster.Advertise != name+":7080" || !strings.Contains(got.Cluster.Cert, name) {
			t.Errorf("compose service %s: %+v %v", name, got, err)
		}
		names[name] = true
	}
	if len(names) != 3 {
		t.Errorf("compose has the nodes %v", names)
	}
	container, err := os.ReadFile(filepath.Join(deploy, "container", "Containerfile"))
	if err != nil || !strings.Contains(string(container), "FOOTFALL_DATA=/data FOOTFALL_LISTEN=:8080") {
		t.Errorf("the Containerfile sets other variables: %v", err)
	}
}
