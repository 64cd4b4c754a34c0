#!/usr/bin/env bash
# Breaks each line of a room in every way that cargo-mutants knows, and runs the room's tests on
# what comes of it. One that no test notices has to stand in docs/mutants.md, with its reason; one
# that does not, and fewer than 95 % that are noticed, end this with exit code 1.
#
#   tests/mutants.sh ROOM... [ARGUMENT OF cargo-mutants, beginning with -]...
#
# Each mutant is built, so what is built is small and one piece: a house in target/mutants/ROOM with
# the rooms only that the tests of the room need, and these tests as a part of it. What they notice,
# all tests do.
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

# needs ROOM: the rooms of its house, and the files of tests/ that are a part of it.
needs() {
    case $1 in
    guard)
        house=(clock limits names policy refusal secret guard)
        tests=(guard/oracle/mod guard/answers guard/frames guard/requests)
        ;;
    pseudonym)
        house=(limits names refusal secret pseudonym)
        tests=()
        ;;
    policy)
        house=(clock limits names refusal secret policy pseudonym minimise config)
        tests=(oracle/mod json/golden json/properties)
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
    local place=target/mutants/$1 room file
    mkdir -p "$place"
    rm -rf "$place/src"
    mkdir "$place/src"
    # New times: what was built last may have been a mutant.
    for room in "${house[@]}" dice; do
        if [[ -d src/$room ]]; then cp -r "src/$room" "$place/src"; else cp "src/$room.rs" "$place/src"; fi
    done
    {
        sed -E "/^pub mod ($(IFS='|' && echo "${house[*]}"));/!{/^pub mod /d}" src/lib.rs
        echo 'extern crate self as sluis;'
        for file in "${tests[@]}"; do
            printf '#[cfg(test)]\n#[path = "../tests/%s.rs"]\nmod %s;\n' "$file" "$(basename "${file%/mod}")"
        done
    } >"$place/src/lib.rs"
    {
        sed '/^default-run/d' Cargo.toml
        printf '[profile.dev.package.sluis]\ndebug = false\nstrip = "debuginfo"\n'
    } >"$place/Cargo.toml"
    cp Cargo.lock "$place"
    ln -sfn "$PWD"/{.config,benches,config,docs,tests} "$place"
}

# break_lines ROOM ARGUMENT...
break_lines() (
    cd "target/mutants/$1"
    # What a mutant makes without end must not take all memory.
    ulimit -v $((12 << 20))
    # 2: some were not noticed. 3: some did not end.
    cargo mutants --config ../../../.cargo/mutants.toml --in-place --file "src/$1/**" "${@:2}" ||
        (($? == 2 || $? == 3))
)

# count ROOM SORT: how many of that sort the last run had.
count() {
    wc -l <"target/mutants/$1/mutants.out/$2.txt"
}

# tell ROOM: how many there were of each sort, and whether that is good.
tell() {
    local caught missed good=0 file mutant
    caught=$(count "$1" caught)
    missed=$(count "$1" missed)
    while IFS=: read -r file _ _ mutant; do
        grep -qF "| \`${file#src/}\` |${mutant//|/\\|} |" docs/mutants.md && continue
        echo "mutants: not noticed and not explained: $file:$mutant"
        good=1
    done <"target/mutants/$1/mutants.out/missed.txt"
    echo "mutants: $1: $caught noticed, $(count "$1" timeout) without an end," \
        "$missed not noticed; $(count "$1" unviable) do not build"
    ((caught * 100 >= (caught + missed) * 95)) && return "$good"
}

main "$@"
