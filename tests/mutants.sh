#!/usr/bin/env bash
# Breaks each line of a room in every way that cargo-mutants knows, and runs the room's tests on
# what comes of it. One that no test notices has to stand in docs/mutants.md, with its reason; one
# that does not, and fewer than 95 % that are noticed, end this with exit code 1.
#
#   tests/mutants.sh ROOM... [ARGUMENT OF cargo-mutants, beginning with -]...
#
# Each mutant is built, so what is built is small: a house in target/mutants/ROOM with the rooms that
# the tests of the room need, and no others. Who is caught by these is caught by all.
set -euo pipefail
cd "$(dirname "$0")/.."

main() {
    local rooms=() failed=0 room
    while [[ ${1:--} != -* ]]; do
        rooms+=("$1")
        shift
    done
    for room in "${rooms[@]}"; do
        needs "$room"
        build "$room"
        break_lines "$room" "$@"
        tell "$room" || failed=1
    done
    exit "$failed"
}

# needs ROOM: the rooms of its house, its tests, and the seconds that they take at most.
needs() {
    case $1 in
    guard)
        house=(clock limits names policy refusal guard)
        tests=(--lib --test=guard)
        seconds=20
        ;;
    pseudonym)
        house=(limits names refusal secret pseudonym)
        tests=(--lib)
        seconds=20
        ;;
    policy)
        house=(clock limits names refusal secret policy pseudonym minimise config)
        tests=(--lib --test=json)
        seconds=60
        ;;
    *)
        echo "mutants: the rooms are guard, pseudonym and policy" >&2
        exit 64
        ;;
    esac
}

# build ROOM: lays its house out. It has a folder of its own for what cargo builds, as to cargo it is
# the same package as ours.
build() {
    local place=target/mutants/$1 room
    mkdir -p "$place"
    rm -rf "$place/src"
    mkdir "$place/src"
    # New times: what was built last may have been a mutant.
    for room in "${house[@]}" dice; do cp -r "$(ls -d "src/$room" "src/$room.rs" 2>/dev/null)" "$place/src/"; done
    sed -E "/^pub mod ($(IFS='|' && echo "${house[*]}"));/!{/^pub mod /d}" src/lib.rs >"$place/src/lib.rs"
    sed '/^default-run/d' Cargo.toml >"$place/Cargo.toml"
    cp Cargo.lock "$place/"
    ln -sfn "$PWD"/{.config,benches,config,docs,tests} "$place/"
}

# break_lines ROOM ARGUMENT...
break_lines() (
    cd "target/mutants/$1"
    # What a mutant makes without end must not take all memory.
    ulimit -v $((12 << 20))
    # 2: some were not noticed. 3: some did not end. Both are looked at below.
    cargo mutants --config ../../../.cargo/mutants.toml --in-place --file "src/$1/**" \
        --timeout "$seconds" "${tests[@]/#/--cargo-arg=}" "${@:2}" || (($? == 2 || $? == 3))
)

# tell ROOM: how many there were of each sort, and whether that is good.
tell() {
    local out=target/mutants/$1/mutants.out good=0 mutant
    count() { cat "$out/$1.txt" 2>/dev/null | wc -l; }
    local caught=$(($(count caught) + $(count previously_caught))) missed
    missed=$(count missed)
    while IFS=: read -r file _ _ mutant; do
        grep -qF "| \`${file#src/}\` |${mutant//|/\\|} |" docs/mutants.md && continue
        echo "mutants: not noticed and not explained: $file:$mutant"
        good=1
    done <"$out/missed.txt"
    echo "mutants: $1: $caught caught, $(count timeout) without an end, $(count unviable) unviable, $missed not noticed"
    ((caught * 100 >= (caught + missed) * 95)) && return "$good"
}

main "$@"
