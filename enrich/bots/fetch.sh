#!/bin/sh
# Brings the list of crawlers into generated/, where bots.go embeds it. Run it
# from anywhere; it does nothing when the list is newer than the lock file.
# Without the list the build still works: the markers of markers.txt decide alone.
set -eu
cd "$(dirname "$0")"
list=generated/crawlers.json
if [ -f "$list" ] && [ "$list" -nt package-lock.json ]; then
	exit 0
fi
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
cp node_modules/crawler-user-agents/LICENSE generated/crawlers.LICENSE
cp node_modules/crawler-user-agents/crawler-user-agents.json "$list.new"
mv "$list.new" "$list"
rm -rf node_modules
