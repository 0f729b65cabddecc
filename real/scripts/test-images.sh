#!/bin/sh
# Makes the images testapp:v1 and testapp:v2 on this machine's Docker engine, without any registry.
# Needs Rust and a C compiler with a static C library (Debian and Ubuntu: libc6-dev). Run it from anywhere.
# The tests do the same by themselves; this is for trying `real` by hand.
set -eu
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
rustc --edition=2024 -O -C target-feature=+crt-static -C strip=symbols -C panic=abort \
    -o "$folder/testapp" images/testapp.rs
for version in v1 v2; do
    cargo run --quiet -p wavetank-real --bin real -- images import "testapp:$version" "$folder/testapp" \
        --env "VERSION=$version"
done
