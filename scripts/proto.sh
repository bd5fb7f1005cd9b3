#!/usr/bin/env bash
# Generates Go and OpenAPI from proto/; needs no network once the tools are built.
#   scripts/proto.sh gen [PKG…]   write the code of all packages under proto/fog, or of the named ones
#   scripts/proto.sh check        generate into a temporary directory and compare with what is in the tree
#   scripts/proto.sh vendor       copy the third-party protos from the Go module cache again
# The tools are in $TOOLS (default build/tools); `make proto` and `make proto-check` install them.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="${TOOLS:-$PWD/build/tools}:$PATH"
module=github.com/foggrid/fogd
openapi=app/openapi/swagger.json

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

packages() { find proto/fog -name '*.proto' | cut -d/ -f3 | sort -u; }

# generated lists the generated files of the current directory.
generated() {
  find . -path ./build -prune -o -type f \( -name '*.pb.go' -o -name '*.pb.gw.go' -o -path ./$openapi \) -printf '%P\n'
}

# stage WORKSPACE PKG: copies a package and the packages it imports, so that one can be generated while another is half-written.
stage() {
  if [ ! -d "proto/fog/$2" ]; then
    echo "proto/fog/$2 does not exist; name one of: $(packages | xargs)" >&2
    return 1
  fi
  if [ ! -d "$1" ]; then
    mkdir -p "$1/proto/fog"
    cp buf*.yaml "$1"
    cp -r proto/third_party "$1/proto"
  fi
  if [ -d "$1/proto/fog/$2" ]; then return; fi
  cp -r "proto/fog/$2" "$1/proto/fog"
  local import
  for import in $(find "proto/fog/$2" -name '*.proto' -exec sed -n 's|^import "fog/\([a-z]*\)/.*|\1|p' {} + | sort -u); do
    stage "$1" "$import"
  done
}

# generate_go DIR PKG…: gocosmos ignores module=, so the files come below DIR/<module path>.
generate_go() {
  local out=$1 pkg
  shift
  for pkg in "$@"; do
    stage "$tmp/$pkg" "$pkg"
    (cd "$tmp/$pkg" && buf generate --template buf.gen.yaml --path "proto/fog/$pkg" -o "$out")
  done
}

# generate_openapi DIR: one document for all packages with REST routes, below DIR/<module path> like the rest.
generate_openapi() {
  local pkg
  for pkg in $(grep -rl 'google\.api\.http' proto/fog | cut -d/ -f3 | sort -u); do stage "$tmp/all" "$pkg"; done
  (cd "$tmp/all" && buf generate --template buf.gen.openapi.yaml --path proto/fog -o "$tmp/openapi")
  mkdir -p "$1/$module/$(dirname $openapi)"
  go run ./internal/openapi <"$tmp/openapi/apidocs.swagger.json" >"$1/$module/$openapi"
}

generate_all() {
  local all
  mapfile -t all < <(packages)
  generate_go "$1" "${all[@]}"
  generate_openapi "$1"
}

gen() {
  if [ $# -gt 0 ]; then
    generate_go "$tmp/out" "$@"
  else
    generate_all "$tmp/out"
    # What a removed proto has left behind goes; the rest is overwritten, so that builds under way never miss a file.
    comm -23 <(generated | sort) <(cd "$tmp/out/$module" && generated | sort) | xargs -r rm
  fi
  cp -r "$tmp/out/$module/." .
}

check() {
  generate_all "$tmp/out"
  vendor "$tmp/out/$module/proto/third_party"
  local ok=true file
  { generated; find proto/third_party -type f; find "$tmp/out/$module" -type f -printf '%P\n'; } | sort -u >"$tmp/files"
  while read -r file; do
    if ! diff -u "$file" "$tmp/out/$module/$file" >"$tmp/diff" 2>&1; then
      ok=false
      echo "$file is not what its proto generates:" >&2
      head -n 20 "$tmp/diff" >&2
    fi
  done <"$tmp/files"
  if ! $ok; then
    echo "generated files are out of date; run: make proto" >&2
    return 1
  fi
}

# vendor DIR: the versions are those of go.mod; grpc-gateway carries the google/api protos.
vendor() {
  local sdk=github.com/cosmos/cosmos-sdk gogo=github.com/cosmos/gogoproto
  local cosmos=github.com/cosmos/cosmos-proto gateway=github.com/grpc-ecosystem/grpc-gateway
  go mod download $sdk $gogo $cosmos $gateway
  rm -rf "$1"
  copy $sdk proto "$1" amino/amino.proto cosmos/base/v1beta1/coin.proto cosmos/base/query/v1beta1/pagination.proto \
    cosmos/msg/v1/msg.proto cosmos/query/v1/query.proto
  copy $gogo . "$1" gogoproto/gogo.proto
  copy $cosmos proto "$1" cosmos_proto/cosmos.proto
  copy $gateway third_party/googleapis "$1" google/api/annotations.proto google/api/http.proto
}

# copy MODULE ROOT DIR FILE…
copy() {
  local root dir=$3 file
  root=$(go list -m -f '{{.Dir}}' "$1")/$2
  shift 3
  for file in "$@"; do install -D -m 644 "$root/$file" "$dir/$file"; done
}

case "${1:-}" in
  gen) shift && gen "$@" ;;
  check) check ;;
  vendor) vendor proto/third_party ;;
  *) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
