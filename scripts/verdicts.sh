#!/usr/bin/env bash
# Shortens the output of go test -v to the verdicts of packages and whole tests, what failed, and, last and loudly, what was skipped.
set -euo pipefail
log=$(mktemp)
trap 'rm -f "$log"' EXIT
tee "$log" | grep -E '^(--- |ok|FAIL|panic)|--- FAIL|Error Trace' || true
if grep -q 'SKIPPED' "$log"; then
  printf '\n*** Skipped:\n'
  grep -h 'SKIPPED' "$log" | sed 's/^ *//' | sort | uniq -c
fi
if grep -qE '^(FAIL|panic)' "$log"; then
  grep -vE '^(=== |ok)' "$log" | tail -200
  exit 1
fi
