#!/usr/bin/env bash
# Runs the golden vectors of the classifier on other platforms: arm64 under qemu-user, 386 natively, and amd64 with fused multiply-add.
# Needs qemu-aarch64 (apt-get install qemu-user).
set -euo pipefail
cd "$(dirname "$0")/../offchain/classify"
tests='SameBits|SameEverywhere|Golden'
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for package in . ./quant; do
	CGO_ENABLED=0 GOARCH=arm64 go test -c -o "$folder/arm64" "$package"
	qemu-aarch64 "$folder/arm64" -test.run "$tests" && echo "arm64 $package: the same bits"
	CGO_ENABLED=0 GOARCH=386 go test -c -o "$folder/386" "$package"
	"$folder/386" -test.run "$tests" && echo "386 $package: the same bits"
	GOAMD64=v3 go test -count=1 -run "$tests" "$package" && echo "amd64 v3 $package: the same bits"
done
