# Everything a checkout must be able to do. Each target installs what it needs itself, pinned, below target/.
#   make demo     the main job on real input, from the README            (KEEP=1 leaves it running)
#   make test     all tests; `make torture` the long ones; `make sim` a hundred thousand schedules of the simulation
#   make lint     formatting, clippy, architecture
#   make bench    ratios, side by side in one run, written to benches/README.md (FULL=1 for the long ones)
#   make fuzz     every fuzz target for SECONDS (600)

SHELL := /bin/bash
TARGET := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
PLUGINS := inbound-filters dynamic-sampler pii-scrubber sentry-grouping
export UPDATE_EXPECT

.PHONY: demo test torture sim lint fmt bench fuzz plugins toolchain clean-demo

toolchain:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust with rustup, https://rustup.rs"; exit 1; }
	@rustup show active-toolchain >/dev/null 2>&1 || true
	@rustup target list --installed | grep -q wasm32-wasip1 || rustup target add wasm32-wasip1

plugins: toolchain
	# With the features of the whole workspace, as the tests have them: nothing is built twice.
	cargo build --workspace --bin tamis
	@for plugin in $(PLUGINS); do $(TARGET)/debug/tamis plugin build plugins/$$plugin --out $(TARGET)/plugins || exit 1; done

demo: toolchain
	@examples/demo/run.sh

test: plugins
	tests/setup.sh
	cargo test --workspace --no-fail-fast

torture: plugins
	tests/setup.sh
	TAMIS_TORTURE_FAULTS=$(or $(TAMIS_TORTURE_FAULTS),1000) cargo test --workspace --test cluster -- --nocapture
	TAMIS_TORTURE_CYCLES=1000 cargo test --workspace --test kill9 -- --nocapture

# One seed that failed is played again with TAMIS_SIM_SEED=...
sim: toolchain
	TAMIS_SIM_SCHEDULES=$(or $(TAMIS_SIM_SCHEDULES),100000) cargo test --workspace --lib simulation::every_schedule -- --nocapture

lint: toolchain
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo test --workspace --test architecture

fmt:
	cargo fmt --all

# Nothing of the profile of tests and demo: what is measured is a release build. FULL=1 is the table of the issue: ten
# minutes of load, ten million events, about half an hour behind the build.
bench: toolchain
	cargo build --release -p tamis -p tamis-benches
	tests/setup.sh
	@for plugin in $(addprefix plugins/,$(PLUGINS)) benches/guest; do \
	    $(TARGET)/release/tamis plugin build $$plugin --out $(TARGET)/plugins || exit 1; done
	@benches/guests/build.sh $(TARGET)/release/tamis $(TARGET)/plugins
	benches/rdkafka_performance.sh $(TARGET)/release $(TARGET)/bench
	$(if $(FULL),BENCH_LOAD_SECONDS=600 BENCH_EVENTS_MAX=10000000) $(TARGET)/release/tamis-benches

fuzz:
	tests/fuzz/run.sh $(or $(SECONDS),600)
