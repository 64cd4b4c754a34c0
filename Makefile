# Everything one does here, by name. What each needs is installed by tests/setup.sh.
.PHONY: demo test dist sbom bench fuzz mutants soak audit
.DEFAULT_GOAL := test

# A made-up school, a vendor and the gateway between them, on this machine.
demo:
	cargo run --locked --release -- demo

# All that must hold before a commit lands, cheapest first; needs no network once set up.
test:
	tests/setup.sh
	cargo fmt --check
	cargo fmt --check --manifest-path tests/fuzz/Cargo.toml
	cargo fmt --check --manifest-path tests/postgres/Cargo.toml
	python3 tests/vectors/make_vectors.py --check tests/vectors/pseudonym-v1.json
	python3 tests/vectors/make_vectors.py --check tests/vectors/register-v1.json
	cargo deny --locked check bans licenses sources
	cargo clippy --locked --all-targets -- --deny warnings
	cargo check --locked --manifest-path tests/fuzz/Cargo.toml --target-dir target
	cargo nextest run --locked
	cargo nextest run --locked --run-ignored only -E 'test(long_soak_of_a_minute)'
	cargo test --locked --doc
	RUSTDOCFLAGS="--deny warnings" cargo doc --locked --no-deps

# The binary that is packaged: built, shown a working day, and built again for it. Ten minutes.
dist:
	tests/setup.sh dist
	deploy/build.sh
	$(MAKE) sbom

# The list of every crate in the binary (CycloneDX), for the release notes: that of Cargo.lock for
# this target, without what is used to build only.
sbom:
	tests/setup.sh sbom
	cargo cyclonedx --format json --describe binaries --no-build-deps --target x86_64-unknown-linux-gnu
	mv sluis_bin.cdx.json target/sluis.cdx.json

# Ratios to reference code, and side by side with other proxies: writes docs/benchmarks.md. Half an
# hour on a machine that does nothing else. ENVOY=program measures Envoy too.
bench:
	tests/setup.sh bench
	cargo bench --locked --profile dist --bench guard --bench minimise --bench pseudonym --bench register
	cargo bench --locked --profile release --bench instructions
	deploy/build.sh
	python3 benches/peers/peers.py target/trained/sluis $(if $(ENVOY),--envoy $(ENVOY)) --write docs

# Each fuzz target for ten minutes, an hour and a half in all: SECONDS_EACH=60 for a look.
fuzz:
	tests/setup.sh fuzz
	tests/fuzz/run.sh $(or $(SECONDS_EACH),600)

# Each line of the rooms that decide, broken in every way that cargo-mutants knows: the tests have to
# notice (docs/mutants.md). ROOM=guard for one of them. Three hours.
mutants:
	tests/setup.sh mutants
	tests/mutants.sh $(or $(ROOM),guard pseudonym policy)

# What takes long: the properties of the JSON rewriter with their full counts, every typing error in
# the names and words of our policies, ten thousand bad days of each kind, 200 kills of a register,
# 2.4 million pupils, an hour of everything at once, and the figures of docs/reliability.md beside
# nginx and HAProxy. H2SPEC=program runs h2spec too. Two hours on a machine that does nothing else.
soak:
	tests/setup.sh soak
	cargo nextest run --locked --release --no-fail-fast --run-ignored only -E 'test(long_)$(if $(H2SPEC),, - test(h2spec))'

# Advisories about what we depend on: the one check that asks the network.
audit:
	tests/setup.sh
	cargo deny --locked check advisories
