#!/usr/bin/env bash
# Sees to it that `make test` finds what it needs: installs it on Debian, names it on any other
# system. Never skips: what is missing and cannot be installed ends it with exit code 69.
#
#   tests/setup.sh          for `make test`
#   tests/setup.sh soak     for `make soak` too
#   tests/setup.sh dist     for `make dist` too
#   tests/setup.sh bench    for `make bench` too
#   tests/setup.sh fuzz     for `make fuzz` too
#   tests/setup.sh mutants  for `make mutants` too
#   tests/setup.sh sbom     for `make sbom` too
set -euo pipefail

main() {
    local missing=()
    compiler
    system_package cc gcc
    system_package c++ g++
    system_package python3 python3
    system_package curl curl
    system_package systemd-analyze systemd
    libfaketime
    postgres
    fail_if_missing
    component fmt rustfmt
    component clippy clippy
    cargo_program nextest cargo-nextest
    cargo_program deny cargo-deny
    if [[ ${1:-} == dist || ${1:-} == bench ]]; then
        profile_tools
        system_package openssl openssl
    fi
    if [[ ${1:-} == soak ]]; then
        system_package haproxy haproxy
        system_package nginx nginx-light
    fi
    if [[ ${1:-} == bench ]]; then
        system_package haproxy haproxy
        system_package wrk wrk
        system_package h2load nghttp2-client
        system_package valgrind valgrind
        nginx_with_lua
    fi
    if [[ ${1:-} == fuzz ]]; then
        cargo_program fuzz cargo-fuzz
        nightly
    fi
    if [[ ${1:-} == mutants ]]; then
        cargo_program mutants cargo-mutants
    fi
    if [[ ${1:-} == dist || ${1:-} == sbom ]]; then
        cargo_program cyclonedx cargo-cyclonedx
    fi
    fail_if_missing
    say_what_is_not_looked_at
    [[ ${1:-} != soak || -n ${H2SPEC:-} ]] || echo "setup: no H2SPEC=program, so h2spec is not run"
}

# The few tests that need what not everyone has pass without it: this is where that is said.
say_what_is_not_looked_at() {
    local shared=../shared/data
    [[ $(id -u) == 0 ]] || echo "setup: not root, so no test fills a whole file system"
    [[ -d ${BASH_SOURCE%/*}/../$shared ]] || echo "setup: no $shared, so no test reads the messages and policies in it"
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# A compiler that is new enough: an old one would fail far from here, in the build of a tool.
compiler() {
    local wanted found
    wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "${BASH_SOURCE%/*}/../Cargo.toml")
    if ! have cargo || ! have rustc; then
        missing+=("cargo and rustc $wanted or newer, from your distribution or https://rustup.rs")
        return
    fi
    found=$(rustc --version | cut -d ' ' -f 2)
    if [[ $(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1) != "$wanted" ]]; then
        missing+=("rustc $wanted or newer, from https://rustup.rs; the one here is $found")
        fail_if_missing
    fi
}

# system_package PROGRAM PACKAGE: a program that Debian packages.
system_package() {
    have "$1" || packages "$1" "$2"
}

# packages WHAT PACKAGE...: installs them on Debian, names what is missing on any other system.
packages() {
    if ! is_debian || ! as_root true; then
        missing+=("$1")
        return
    fi
    echo "setup: installing ${*:2}"
    as_root apt-get update -qq
    as_root apt-get install -y -qq --no-install-recommends "${@:2}"
}

# PostgreSQL's server, for the tests of a register that several nodes share. Debian keeps its
# programs out of the path.
postgres() {
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null && return
    packages "PostgreSQL's server in /usr/lib/postgresql/VERSION/bin" postgresql
}

# What moves the clock of a process, for the tests of clocks that jump.
libfaketime() {
    compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null && return
    packages "libfaketime in /usr/lib/ARCHITECTURE/faketime" libfaketime
}

# component COMMAND NAME: a part of the Rust toolchain.
component() {
    cargo "$1" --version >/dev/null 2>&1 && return
    if ! have rustup || ! rustup component add "$2"; then
        missing+=("$2, a component of the Rust toolchain")
    fi
}

# What reads the counts of an instrumented build; it must be of the compiler's own version.
profile_tools() {
    compgen -G "$(rustc --print sysroot)/lib/rustlib/*/bin/llvm-profdata" >/dev/null && return
    if ! have rustup || ! rustup component add llvm-tools; then
        missing+=("llvm-tools, a component of the Rust toolchain")
    fi
}

# The proxy that the others are compared with, also doing our work in a script.
nginx_with_lua() {
    [[ -f /usr/lib/nginx/modules/ngx_http_lua_module.so && -f /usr/lib/x86_64-linux-gnu/lua/5.1/cjson.so ]] && return
    packages "nginx with its Lua module, and lua-cjson" nginx-light libnginx-mod-http-lua lua-cjson
}

# The compiler that knows the sanitizers.
nightly() {
    cargo +nightly --version >/dev/null 2>&1 && return
    if ! have rustup || ! rustup toolchain install nightly --profile minimal; then
        missing+=("a nightly Rust toolchain: rustup toolchain install nightly")
    fi
}

# cargo_program COMMAND CRATE: a cargo command. Built from source, so it works wherever Rust does;
# done without asking on Debian only, where our machines are.
cargo_program() {
    cargo "$1" --version >/dev/null 2>&1 && return
    if ! is_debian; then
        missing+=("cargo $1: cargo install --locked $2")
        return
    fi
    echo "setup: building $2"
    (cd / && cargo install --locked "$2") || missing+=("cargo $1: cargo install --locked $2")
}

is_debian() {
    have apt-get && [[ -f /etc/debian_version ]]
}

as_root() {
    if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@" 2>/dev/null; fi
}

fail_if_missing() {
    ((${#missing[@]})) || return 0
    echo "setup: this is missing, and is not installed on this system for you:" >&2
    printf '  %s\n' "${missing[@]}" >&2
    exit 69
}

main "$@"
