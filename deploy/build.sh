#!/usr/bin/env bash
# Builds the binary that is packaged: target/trained/sluis.
#
# Built twice. The first one counts which way its messages go while benches/peers/train.py shows it
# a working day; the second is laid out for that (profile-guided optimisation).
set -euo pipefail
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
tools=$(rustc --print sysroot)/lib/rustlib/$host/bin
seen=$PWD/target/trained/seen

build() {
    # Named, so that the flags do not hold for what runs while building.
    RUSTFLAGS=$1 cargo build --locked --profile dist --target "$host" --target-dir "$2"
}

rm -rf "$seen"
build "-Cprofile-generate=$seen" target/trained/counting
python3 benches/peers/train.py "target/trained/counting/$host/dist/sluis"
"$tools/llvm-profdata" merge --output "$seen/all.profdata" "$seen"/*.profraw
build "-Cprofile-use=$seen/all.profdata" target/trained
cp "target/trained/$host/dist/sluis" target/trained/sluis
echo "built: target/trained/sluis"
