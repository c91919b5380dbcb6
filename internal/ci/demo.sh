#!/bin/sh
# Serves ./data-demo on http://127.0.0.1:8080 with a shop's visits of the last
# 400 days. The events are the same each time, so a second run adds nothing old.
set -eu
cd "$(dirname "$0")/../.."
bin/footfall serve --data ./data-demo --listen 127.0.0.1:8080 &
node=$!
trap 'kill $node 2>/dev/null' INT TERM EXIT
until [ -f data-demo/address ] && curl -sf http://127.0.0.1:8080/readyz >/dev/null; do sleep 0.1; done
go run ./bench/cmd/seed | bin/footfall import --data ./data-demo --site demo.footfall --format ndjson -
wait $node
