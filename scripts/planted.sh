#!/usr/bin/env bash
# Runs a job on a fresh grid whose variables, arguments and inputs are planted, with a planted variable in the environment of all programs, and
# looks for these and for the keys of the validator in every log that the grid wrote, and in what the tool said.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/job" "$dir/grid"
GOOS=wasip1 GOARCH=wasm go build -o "$dir/job/task.wasm" ./examples/wordcount
{
  cat examples/wordcount/text/opticks.txt
  echo planted-in-an-input
} >"$dir/job/text.txt"
cat >"$dir/job/fog.yaml" <<'EOF'
version: 1
name: planted
module: task.wasm
args: [planted-in-an-argument]
env: {SECRET: planted-in-a-variable}
inputs: [text.txt]
tasks: 2
resources: {cpu: 1, memory: 64MiB, storage: 4MiB}
price: {cap_per_task_hour: 5FOG}
max_duration: 1m
EOF
FOG_PLANTED=planted-in-the-environment TMPDIR=$dir/grid build/fog demo --keep --log-level debug --job "$dir/job/fog.yaml" --out "$dir/out" 2>&1 | tee "$dir/said"
grid=$(echo "$dir"/grid/fog-demo-*)

planted=(planted-in-an-input planted-in-an-argument planted-in-a-variable planted-in-the-environment)
while read -r key; do planted+=("$key"); done < <(grep -hoE '"value": *"[A-Za-z0-9+/=]{80,}"' "$grid"/validators/*/config/*key.json | cut -d'"' -f4)
# The search would find them: the registry has the job, the home of the validator its keys.
grep -rqF planted-in-a-variable "$grid/registry" || { echo 'planted: the job did not reach the registry, so that nothing was tested' >&2; exit 1; }
[ "${#planted[@]}" -ge 6 ] || { echo 'planted: the keys of the validator were not found' >&2; exit 1; }
found=0
for secret in "${planted[@]}"; do
  if grep -rlF -- "$secret" "$grid/logs" "$dir/said"; then
    echo "planted: this holds ${secret:0:30}" >&2
    found=1
  fi
done
[ "$found" = 0 ] || exit 1
printf 'planted: none of %d secrets is in %d logs\n' "${#planted[@]}" "$(find "$grid/logs" -type f | wc -l)"
