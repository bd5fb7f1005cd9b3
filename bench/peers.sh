#!/usr/bin/env bash
# Prints our figures beside those of the peers that are on this machine; says loudly which are not.
#
#   classification   scikit-learn, in the python3 that PYTHON names (default /usr/bin/python3; Debian: python3-sklearn)
#   placement        the scheduler benchmark in a checkout of hashicorp/nomad that NOMAD_SRC names
#
# Each is measured in RUNS runs by turns with ours, on one processor. Exits 1 if a figure is not reached.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${RUNS:-3}
python=${PYTHON:-/usr/bin/python3}
status=0

skipped() { printf '\n*** SKIPPED: %s\n*** %s\n' "$1" "$2"; }

classification() {
	if ! "$python" -c 'import sklearn' 2>/dev/null; then
		skipped "classification beside scikit-learn" "$python cannot import sklearn; install it (Debian: python3-sklearn), or name another python with PYTHON"
		return
	fi
	printf '\n== Classification beside scikit-learn, a short form of bench/classify.py\n'
	go build -o build/fog ./cmd/fog
	bench/classify.py --python "$python" --only versions,gmm,kmeans,memory --runs "$runs" --seeds 3 --sizes 1000000 --ten 0 || status=1
}

# median NAME FILE is the median of the lines "NAME value" of a file.
median() { awk -v name="$1" '$1 == name { print $2 }' "$2" | sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

placement() {
	if [ -z "${NOMAD_SRC:-}" ]; then
		skipped "placement beside Nomad's scheduler" "NOMAD_SRC is not set; let it name a checkout of hashicorp/nomad"
		return
	fi
	local folder
	folder=$(mktemp -d)
	trap 'rm -rf "$folder"' RETURN
	printf '\n== Placement beside Nomad %s, placements a second, 5,000 nodes in 75 racks, a job of 1,200\n' "$(git -C "$NOMAD_SRC" describe --always)"
	go test -c -o "$folder/ours" ./offchain/match
	(cd "$NOMAD_SRC" && go test -c -o "$folder/nomad" ./scheduler/benchmarks)
	for _ in $(seq "$runs"); do
		"$folder/ours" -test.run '^$' -test.cpu 1 -test.bench 'Learned/nodes=5000' |
			awk '/placements\/s/ { for (i = 2; i < NF; i++) if ($(i + 1) == "placements/s") print ($1 ~ /true/ ? "ours-spread" : "ours-free"), $i }'
		# Its log goes to standard error. A round places the whole job, and does not write to its state.
		(cd "$NOMAD_SRC/scheduler/benchmarks" && "$folder/nomad" -test.run '^$' -test.cpu 1 -test.benchtime 3x \
			-test.bench 'ServiceScheduler/^5000_nodes_75_racks_1200_allocs' 2>/dev/null) |
			awk '/ns\/op/ { for (i = 2; i < NF; i++) if ($(i + 1) == "ns/op") print ($1 ~ /no_spread/ ? "nomad-free" : "nomad-spread"), 1200 * 1e9 / $i }'
	done | tee "$folder/figures"
	compare "without spread" free 10 "$folder/figures"
	compare "with spread" spread 100 "$folder/figures"
}

# compare WHAT SUFFIX TIMES FILE prints the medians and holds their ratio against what it must be.
compare() {
	local ours theirs
	ours=$(median "ours-$2" "$4")
	theirs=$(median "nomad-$2" "$4")
	awk -v what="$1" -v ours="$ours" -v theirs="$theirs" -v must="$3" 'BEGIN {
		if (!ours || !theirs) { printf "NOT measured %s\n", what; exit 1 }
		reached = ours >= must * theirs
		printf "%-12s %s: ours %.0f, Nomad %.0f: %.0f times (must be %d)\n", reached ? "reached" : "NOT reached", what, ours, theirs, ours / theirs, must
		exit !reached
	}' || status=1
}

classification
placement
exit "$status"
