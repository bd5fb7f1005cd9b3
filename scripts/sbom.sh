#!/usr/bin/env bash
# Writes what is in build/fogd and build/fog as CycloneDX into build/sbom/, from what the linker noted in them. It holds no time and no
# serial number, so that the same binaries give the same bytes, and is refused if a module that the binary names is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$1
mkdir -p build/sbom
for name in fogd fog; do
  out=build/sbom/$name.cdx.json
  "$TOOLS/cyclonedx-gomod" bin -json -std -noserial -notimestamp -version "$version" -output "$out" "build/$name" 2>/dev/null
  # "=>" is what a module was replaced by; the module itself is then not in the binary.
  go version -m "build/$name" | awk '$1 == "dep" { if (seen) print seen; seen = $2 "@" $3 } $1 == "=>" { seen = $2 "@" $3 } END { if (seen) print seen }' |
    sort -u >"build/sbom/$name.modules"
  missing=$(while read -r module; do grep -qF "\"pkg:golang/$module?type=module\"" "$out" || echo "$module"; done <"build/sbom/$name.modules")
  if [ -n "$missing" ]; then
    printf 'sbom: %s lacks modules of build/%s:\n%s\n' "$out" "$name" "$missing" >&2
    exit 1
  fi
  printf '%s: %d modules, sha256 %s\n' "$out" "$(wc -l <"build/sbom/$name.modules")" "$(sha256sum "$out" | cut -d' ' -f1)"
  rm "build/sbom/$name.modules"
done
