#!/bin/sh
# Builds the Consul server that the tests talk to, once for a machine, and prints
# the path of the binary. The first build takes minutes and downloads modules;
# whoever calls meanwhile waits for it.
set -eu
version=1.21.0
cache=${XDG_CACHE_HOME:-$HOME/.cache}/footfall
binary=$cache/consul-$version
if [ ! -x "$binary" ]; then
	cd "$(dirname "$0")"
	mkdir -p "$cache"
	exec 9>"$cache/consul.lock"
	flock 9
	if [ ! -x "$binary" ]; then
		# Its own module says what is built; workspace, flags and platform of the
		# caller do not. A whole file appears or none.
		env -u GOFLAGS -u GOOS -u GOARCH GOWORK=off CGO_ENABLED=0 \
			"${GO:-go}" build -mod=mod -trimpath -buildvcs=false -ldflags '-s -w' -o "$binary.new" github.com/hashicorp/consul >&2
		mv "$binary.new" "$binary"
	fi
fi
printf '%s\n' "$binary"
