#!/bin/sh
# Runs every test of the project and ends on a line with their number. Called
# by `make test`, which has built the binaries before.
set -eu
cd "$(dirname "$0")/../.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# The first build of Consul takes minutes: it goes on beside what does not need
# it, and the tests that do call the same script and wait for it.
sh internal/tools/consul/build.sh >"$out/consul.txt" 2>&1 &
passed=0
failed=0
broken=0

step() {
	printf '\n== %s\n' "$*"
}

# Go's race detector needs a C compiler.
if ! command -v cc >/dev/null; then
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq gcc libc6-dev
fi

step "format, vet, types"
make -s check

step "go test -race ./..."
if ! CGO_ENABLED=1 go test -race -timeout 25m -json ./... >"$out/go.json"; then
	# The lines of failed tests, and of packages that do not build.
	node internal/ci/failures.mjs "$out/go.json" || true
	broken=1
fi
n=$(grep -c '"Action":"pass".*"Test":' "$out/go.json" || true)
m=$(grep -c '"Action":"fail".*"Test":' "$out/go.json" || true)
printf '%s Go tests passed, %s failed\n' "$n" "$m"
grep -o '"Output":"TRUTH [^"]*' "$out/go.json" | sed 's/"Output":"//; s/\\n$//; s/\\t/\t/g' || true
passed=$((passed + n))
[ "$m" -gt 0 ] || m=$broken # a package that does not build has no failed test
failed=$((failed + m))

# front NAME PATTERN COMMAND… runs a front-end suite; PATTERN finds the number of
# passed tests in its output.
front() {
	name=$1 pattern=$2
	shift 2
	step "$name"
	if "$@" >"$out/front.txt" 2>&1; then
		n=$(sed 's/\x1b\[[0-9;]*m//g' "$out/front.txt" | grep -E "$pattern" | grep -oE '[0-9]+' | head -1)
		printf '%s: %s passed\n' "$name" "${n:-0}"
		passed=$((passed + ${n:-0}))
		[ "${n:-0}" -gt 0 ] || failed=$((failed + 1))
	else
		cat "$out/front.txt"
		failed=$((failed + 1))
	fi
}

front "dashboard: unit tests" '^ *Tests +[0-9]+ passed' npm --prefix dashboard test
front "tracker: unit and size tests" '^# pass [0-9]+|^ℹ pass [0-9]+' npm --prefix tracker test
front "dashboard: browser tests" '[0-9]+ passed' npm --prefix dashboard run e2e
front "tracker: real clients in a browser" '^# pass [0-9]+|^ℹ pass [0-9]+' npm --prefix tracker run e2e

printf '\n%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
