#!/bin/sh
# Puts a cluster of real processes under fire. `run` does it for MINUTES (10) at
# RATE views per second (2000), by the schedule of SEED (the time); `selftest`
# shows that bugs planted into the nodes, and those planted into the simulation,
# are found, each within five minutes: it prints a table of bug, finder, seconds
# and what was found first. BUGS are the only ones to plant into nodes.
set -eu
cd "$(dirname "$0")/../.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# The bugs that the campaign has to find; cmd/internal/node/planted.go has them.
bugs="ack-before-fsync standby-acks-unsynced dedupe-off table-not-flushed epoch-ignored short-log-leads
	batch-twice tail-dropped hour-of-node cache-stale refused-counted one-in-10000-lost"

# campaign BINARIES LOG runs one campaign; its environment says which.
campaign() {
	TESTNODE_BINARIES=$1 go test ./internal/chaos -run '^TestNothingIsLost' -count 1 -v -timeout 24h >"$2" 2>&1
}

run() {
	sh internal/tools/consul/build.sh >/dev/null
	seed=${SEED:-$(date +%s)}
	echo "SEED=$seed repeats this schedule"
	export CHAOS_SEED="$seed" CHAOS_MINUTES="${MINUTES:-10}" CHAOS_RATE="${RATE:-2000}"
	go test ./internal/chaos -run '^TestNothingIsLost' -count 1 -v -timeout 24h
}

selftest() {
	sh internal/tools/consul/build.sh >/dev/null
	go build -tags 'dev planted' -o "$out/footfall-dev" ./cmd/footfall
	cp "$out/footfall-dev" "$out/footfall"
	export CHAOS_RATE="${RATE:-500}" CHAOS_MINUTES=2
	missed=0
	printf '%-24s %-10s %7s  %s\n' bug 'found by' seconds 'found first'
	for bug in ${BUGS:-$bugs} none; do
		begin=$(date +%s)
		found=campaign
		export CHAOS_SEED="${SEED:-$begin}" CHAOS_PLANTED="$bug"
		if campaign "$out" "$out/log"; then
			found=nobody
			[ "$bug" = none ] || missed=$((missed + 1))
		else
			[ "$bug" != none ] || missed=$((missed + 1))
		fi
		took=$(($(date +%s) - begin))
		[ "$took" -le 300 ] || missed=$((missed + 1))
		first=$(sed -n 's/^ *[a-z_]*\.go:[0-9]*: //p' "$out/log" | grep -v -m 1 ' after .* for ' || true)
		[ "$found" = campaign ] || first=
		printf '%-24s %-10s %7s  %.140s\n' "$bug" "$found" "$took" "$first"
	done
	[ -n "${BUGS:-}" ] || simulated || missed=$((missed + 1))
	[ "$missed" -eq 0 ]
}

# simulated lists the bugs that are planted into the simulation.
simulated() {
	status=0
	go test ./internal/simulate -run '^TestPlantedBugsAreFound$' -count 1 -v -timeout 1h >"$out/simulate" 2>&1 || status=$?
	awk '
		/^ *[a-z_]*_test\.go:[0-9]*: / { sub(/^[^:]*:[0-9]*: /, ""); bug = $1; sub(/^[^ ]* */, ""); first[bug] = $0 }
		/^ *--- (PASS|FAIL): TestPlantedBugsAreFound\// {
			bug = $3; sub(/^[^\/]*\//, "", bug)
			seconds = $4; gsub(/[()s]/, "", seconds)
			printf "%-24s %-10s %7.0f  %.140s\n", bug, $2 == "PASS:" ? "simulation" : "nobody", seconds, first[bug]
		}' "$out/simulate"
	return "$status"
}

case ${1:-run} in
run) run ;;
selftest) selftest ;;
*)
	echo "usage: $0 run|selftest" >&2
	exit 2
	;;
esac
