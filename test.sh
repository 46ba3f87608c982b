#!/usr/bin/env bash
# Passes all tests: formatting, lints, tests (under cargo nextest where it is installed), doc tests, documentation.
# Installs the outside tools that tests compare with (esptool, the NVS generator), pinned, under target/tools.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

step() { printf '\n== %s\n' "$*"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else "$@"; fi
}

step "outside tools"
tools=$PWD/target/tools
if ! cmp -s requirements-test.txt "$tools/installed.txt"; then
    if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
        as_root apt-get update -q
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends python3 python3-venv
    fi
    rm -rf "$tools"
    mkdir -p target
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check -r requirements-test.txt
    # The schema by which Jenkins' xUnit plugin refuses JUnit XML comes with pytest's sources, and with no package by itself.
    rm -rf "$tools/sources"
    "$tools/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary :all: --dest "$tools/sources" pytest==9.2.0
    tar -xzOf "$tools/sources/pytest-9.2.0.tar.gz" pytest-9.2.0/testing/example_scripts/junit-10.xsd >"$tools/bin/junit-10.xsd"
    cp requirements-test.txt "$tools/installed.txt"
fi
if [ ! -x "$tools/bin/ser2net" ]; then
    if ! command -v ser2net >/dev/null && [ ! -x /usr/sbin/ser2net ]; then
        as_root apt-get update -q
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends ser2net
    fi
    ln -sf "$(command -v ser2net || echo /usr/sbin/ser2net)" "$tools/bin/ser2net"
fi
if [ ! -x "$tools/bin/chromium" ] || [ ! -x "$tools/bin/chromedriver" ]; then
    if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
        as_root apt-get update -q
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends chromium chromium-driver
    fi
    ln -sf "$(command -v chromium)" "$tools/bin/chromium"
    ln -sf "$(command -v chromedriver)" "$tools/bin/chromedriver"
fi
if [ ! -x "$tools/bin/postgres" ] || [ ! -x "$tools/bin/initdb" ]; then
    # Debian keeps the server's programs off PATH, in a folder for each version.
    postgres_bin() { for folder in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) $(dirname "$(command -v postgres || echo /none/x)"); do
        if [ -x "$folder/postgres" ] && [ -x "$folder/initdb" ]; then echo "$folder"; return; fi
    done; }
    if [ -z "$(postgres_bin)" ]; then
        as_root apt-get update -q
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends postgresql
    fi
    ln -sf "$(postgres_bin)/postgres" "$(postgres_bin)/initdb" "$tools/bin/"
fi
export BRICKPROOF_TOOLS=$tools/bin
# With this set a missing tool fails its tests in place of skipping them.
export BRICKPROOF_REQUIRE_TOOLS=1

step "formatting"
cargo fmt --all --check
cargo fmt --manifest-path firmware-images/esp32c3/Cargo.toml --check

step "lints"
cargo clippy --workspace --all-targets --locked -- -D warnings

# Probe support is off by default: some 130 packages that most do not need.
cargo clippy --workspace --features brickproof/probe --all-targets --locked -- -D warnings

# A workspace for another target, which is not everywhere.
if [ -d "$(rustc --print sysroot)/lib/rustlib/riscv32imc-unknown-none-elf" ]; then
    for network in openeth wifi; do
        (cd firmware-images/esp32c3 && cargo clippy --release --locked --features "$network" -- -D warnings)
    done
else
    echo "firmware-images/esp32c3 is not looked at: rustup target add riscv32imc-unknown-none-elf"
fi

step "no_std"
./.ci/no-std

step "tests"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --locked --no-fail-fast
    # The whole workspace, so that what it shares with the run above is not built anew.
    cargo nextest run --workspace --features brickproof/probe --lib --locked --no-fail-fast -E 'package(brickproof) & (test(board::) | test(cli::))'
    cargo test --workspace --locked --doc --quiet
else
    cargo test --workspace --locked --no-fail-fast
    cargo test --workspace --features brickproof/probe --lib --locked --no-fail-fast board::
fi

step "documentation"
RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --workspace --no-deps --locked --quiet

step "all passed"
