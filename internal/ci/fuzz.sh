#!/bin/sh
# Fuzzes every target of the project for the given time each. With "list" it only
# names them.
set -eu
cd "$(dirname "$0")/../.."
time=${1:-30s}
grep -rlE '^func Fuzz' --include='*_test.go' --exclude-dir=node_modules . | sort | while read -r file; do
	dir=$(dirname "$file")
	grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$file" | sed 's/^func //' | while read -r target; do
		if [ "$time" = list ]; then
			printf '%s %s\n' "$dir" "$target"
			continue
		fi
		printf '\n== %s %s\n' "$dir" "$target"
		# Making inputs smaller that are only interesting would take most of the time.
		go test "$dir" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1s </dev/null
	done
done
