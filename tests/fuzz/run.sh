#!/usr/bin/env bash
# Runs each fuzz target for so many seconds, beginning with what the tests and examples already
# have. A crash ends it; its input is left in tests/fuzz/artifacts.
#
#   tests/fuzz/run.sh SECONDS [TARGET...]
set -euo pipefail
cd "$(dirname "$0")"

main() {
    local seconds=$1
    shift
    local targets=("$@")
    ((${#targets[@]})) || targets=(json policy filter link target authority token guard guard_splits answer)
    seed_json
    seed_policy
    seed_lines filter '\000\001'
    seed_lines link '\000\001\002\003'
    seed_lines target '\000\001'
    seed_lines authority '\000\001\003\005\010\011\015\035'
    seed_http guard guard 00000000
    seed_http guard_splits guard 00000000
    seed_http guard_splits answer 00000000
    seed_http answer answer 0
    mkdir -p corpus/token
    # Nothing newer than what is locked is fuzzed: cargo-fuzz does not ask for it by itself.
    cargo +nightly fetch --locked --quiet
    for target in "${targets[@]}"; do
        local dictionary=()
        if [[ -f $target.dict ]]; then dictionary=(-dict="$target.dict"); fi
        cargo +nightly fuzz run --fuzz-dir . --target-dir target "$target" "corpus/$target" -- \
            -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 \
            "${dictionary[@]}" -verbosity=0 -print_final_stats=1
    done
}

# seed_lines TARGET BYTES: every line of TARGET.seeds behind each of these bytes; `|` stands for the
# line ends in it.
seed_lines() {
    mkdir -p "corpus/$1"
    local number=0 line byte
    while read -r line; do
        number=$((number + 1))
        for byte in $(sed 's/\\/ \\/g' <<<"$2"); do
            { printf '%b' "$byte" && tr '|' '\n' <<<"$line" | head -c -1; } \
                >"corpus/$1/seed-$number${byte#\\}"
        done
    done <"$1.seeds"
}

# seed_http TARGET NAME BEFORE: every line of NAME.seeds behind BEFORE; `~` stands for CR in it and
# `|` for LF.
seed_http() {
    mkdir -p "corpus/$1"
    local number=0 line
    while read -r line; do
        number=$((number + 1))
        { printf '%s' "$3" && tr '~|' '\r\n' <<<"$line" | head -c -1; } >"corpus/$1/seed-$2-$number"
    done <"$2.seeds"
}

# Each golden message as it stands; the header of targets/json.rs says what stands before it. The
# first 64 bytes of this file are throws as good as any to choose a policy.
seed_json() {
    mkdir -p corpus/json
    for message in ../golden/json/*/in.json; do
        (($(stat -c %s "$message") < 4096)) || continue
        local name
        name="corpus/json/$(basename "$(dirname "$message")")"
        { printf '\003anyseed.\100' && head -c 64 run.sh && cat "$message"; } >"$name"
        { printf '\203anyseed.\100' && head -c 64 run.sh && cat "$message"; } >"$name-home"
        { printf '\103anyseed.\100' && head -c 64 run.sh && cat "$message"; } >"$name-page"
    done
}

# The policy of each golden case, made a whole file, and every file of a vendor that we have.
seed_policy() {
    mkdir -p corpus/policy
    for policy in ../golden/json/*/policy.toml; do
        {
            cat ../golden/vendor.toml
            sed -n 's/^root = /to-vendor = /p' "$policy"
            sed -n '/^\[/,$p' "$policy"
        } >"corpus/policy/$(basename "$(dirname "$policy")").toml"
    done
    find ../../config ../config -path '*vendors/*.toml' -o -path '*presets/*.toml' |
        while read -r file; do cp "$file" "corpus/policy/$(tr / - <<<"$file")"; done
}

main "$@"
