package config

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

// applyFile reads a YAML file whose keys are the flags' names. Values are
// scalars, or lists where a flag takes a comma list.
func applyFile(s *Serve, path string, text []byte, places places) error {
	fail := func(line int, format string, args ...any) error {
		return &Error{FromFile, fmt.Sprintf("%s line %d: ", path, line) + fmt.Sprintf(format, args...)}
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil // nothing but comments
	} else if err != nil {
		return &Error{FromFile, fmt.Sprintf("%s: %v", path, err)}
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return &Error{FromFile, path + ": must hold one YAML document"}
	}
	root := &document
	if root.Kind == yaml.DocumentNode && len(root.Content) == 1 {
		root = root.Content[0]
	}
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil
	}
	if root.Kind != yaml.MappingNode {
		return fail(root.Line, "must be lines of key: value")
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			return fail(key.Line, "a key must be a word")
		}
		name := key.Value
		if name == "config" {
			return fail(key.Line, "config: a file cannot name another")
		}
		x := find(name)
		if x == nil {
			return fail(key.Line, "%s: unknown key%s", name, suggest(name, Flags()))
		}
		if first, twice := seen[name]; twice {
			return fail(key.Line, "%s: given in line %d already", name, first)
		}
		seen[name] = key.Line
		scalar, err := scalarOf(value, x.list)
		if err == nil {
			err = x.set(s, scalar)
		}
		if err != nil {
			return fail(value.Line, "%s: %v", name, err)
		}
		places[name] = place{FromFile, fmt.Sprintf("%s line %d: %s", path, value.Line, name), scalar}
	}
	return nil
}

func scalarOf(value *yaml.Node, list bool) (string, error) {
	switch {
	case value.Kind == yaml.AliasNode:
		return scalarOf(value.Alias, list)
	case value.Kind == yaml.ScalarNode && value.Tag == "!!null":
		return "", errors.New("has no value")
	case value.Kind == yaml.ScalarNode:
		return value.Value, nil
	case value.Kind == yaml.SequenceNode && list:
		var items []string
		for _, item := range value.Content {
			if item.Kind != yaml.ScalarNode {
				return "", errors.New("must be a list of words")
			}
			items = append(items, item.Value)
		}
		return strings.Join(items, ","), nil
	case list:
		return "", errors.New("must be a word or a list of words")
	}
	return "", errors.New("must be one value")
}
