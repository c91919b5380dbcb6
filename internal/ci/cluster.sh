#!/bin/sh
# Runs a cluster on this machine for trying things out: Consul, three nodes with
# certificates, and HAProxy in front. `up` starts what is not running, `down` stops
# it; what is kept lies in ./data/cluster. The nodes are bin/footfall.
set -eu
cd "$(dirname "$0")/../.."
dir=data/cluster
balancer=${CLUSTER_LISTEN:-127.0.0.1:8080}
stats=127.0.0.1:8404
nodes="1 2 3"
http() { echo "127.0.0.1:808$1"; }
port() { echo "127.0.0.1:708$1"; }

# running NAME tells whether the process of pid file NAME lives and is ours.
running() {
	[ -f "$dir/$1.pid" ] && pid=$(cat "$dir/$1.pid") && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ]
}

# start NAME COMM COMMAND… runs a program in the background with a log of its own.
start() {
	name=$1 comm=$2
	shift 2
	if running "$name" "$comm"; then return; fi
	nohup "$@" >>"$dir/$name.log" 2>&1 &
	echo $! >"$dir/$name.pid"
}

# stop NAME COMM ends it in order and waits; what does not end in a minute is killed.
stop() {
	if running "$1" "$2"; then
		kill -TERM "$pid"
		tries=600
		while kill -0 "$pid" 2>/dev/null; do
			tries=$((tries - 1))
			if [ $tries = 0 ]; then kill -KILL "$pid"; fi
			sleep 0.1
		done
		echo "$1 stopped"
	fi
	rm -f "$dir/$1.pid"
}

# await WHAT URL waits until URL answers with success.
await() {
	tries=600
	until curl -sf -o /dev/null "$2"; do
		tries=$((tries - 1))
		if [ $tries = 0 ]; then
			echo "$1 does not become ready; see $dir/*.log" >&2
			exit 1
		fi
		sleep 0.1
	done
}

up() {
	mkdir -p "$dir"
	consul=$(sh internal/tools/consul/build.sh)
	haproxy=$(command -v haproxy || echo /usr/sbin/haproxy)
	if [ ! -f "$dir/ca/ca.pem" ]; then
		bin/footfall cluster init-ca --dir "$dir/ca"
	fi
	start consul "$(basename "$consul")" "$consul" agent -server -bootstrap-expect 1 -node consul -data-dir "$dir/consul" \
		-bind 127.0.0.1 -client 127.0.0.1 -http-port 8500 -dns-port 8600 -server-port 8300 -serf-lan-port 8301 \
		-serf-wan-port 8302 -hcl 'ports { grpc = -1 grpc_tls = -1 } disable_update_check = true performance { raft_multiplier = 1 }'
	await Consul http://127.0.0.1:8500/v1/health/node/consul
	for n in $nodes; do
		if [ ! -f "$dir/ca/n$n.pem" ]; then
			bin/footfall cluster issue --dir "$dir/ca" --name "n$n" --host 127.0.0.1
		fi
		start "n$n" footfall bin/footfall serve --name "n$n" --data "$dir/n$n" --listen "$(http "$n")" \
			--public-url "http://$balancer" --cluster-listen "$(port "$n")" --discovery consul --found --zone "z$n" \
			--cluster-ca "$dir/ca/ca.pem" --cluster-cert "$dir/ca/n$n.pem" --cluster-key "$dir/ca/n$n.key"
	done
	start haproxy haproxy env "FOOTFALL_BIND=$balancer" "FOOTFALL_BIND_STATS=$stats" "FOOTFALL_SOCKET=$PWD/$dir/haproxy.sock" \
		"FOOTFALL_NODE_1=$(http 1)" "FOOTFALL_NODE_2=$(http 2)" "FOOTFALL_NODE_3=$(http 3)" \
		"$haproxy" -db -f deploy/haproxy/static.cfg
	for n in $nodes; do await "node $n" "http://$(http "$n")/readyz"; done
	await HAProxy "http://$stats/alive"
	cat <<-TEXT

	  everything   http://$balancer   through HAProxy
	  nodes        http://$(http 1)  http://$(http 2)  http://$(http 3)
	  metrics      http://$stats/metrics of HAProxy
	  Consul       http://127.0.0.1:8500
	  logs, pids   $dir
	TEXT
	setup=$(sed -n 's/^setup: //p' "$dir"/n?.log | tail -1)
	[ -z "$setup" ] || printf '  first account  %s\n' "$setup"
	printf '\n`make cluster-down` stops it; what was counted stays.\n'
}

down() {
	stop haproxy haproxy
	for n in $nodes; do stop "n$n" footfall; done
	# The version is in the name of the binary.
	for path in "${XDG_CACHE_HOME:-$HOME/.cache}"/footfall/consul-*; do stop consul "$(basename "$path")"; done
}

case ${1:-up} in
up) up ;;
down) down ;;
*)
	echo "usage: $0 up|down" >&2
	exit 2
	;;
esac
