#!/usr/bin/env bash
# ./docs/sbom.sh > sbom.json
# The crates that are in the programs, as CycloneDX JSON. Made from Cargo.lock alone: the same
# sources give the same bytes on every machine.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo metadata --locked --format-version 1 | cargo run --quiet --locked --package cunkou-tests --bin sbom
