# SPDX-License-Identifier: Apache-2.0
# The front door. CMake and Ninja do the building; scripts/deps installs what is missing.
BUILD ?= build
PREFIX ?= /usr/local
TIERS ?= t0 t1 t2
FUZZ_SECONDS ?= 60
CONFIGURE = cmake -G Ninja -S . $(CMAKE_FLAGS)
# On a terminal one line tells how far it is.
NINJA = ninja $$(test -t 1 || echo --quiet)
# What a sanitizer adds makes compilers warn of what is not so.
SANITIZED = $(CONFIGURE) -DEBB_TESTS=ON -DEBB_WERROR=OFF

.PHONY: all demo test check soak bench install deps fuzz clean help

all:
	@scripts/deps build
	@$(CONFIGURE) -B $(BUILD) >/dev/null
	@$(NINJA) -C $(BUILD) ebb libebb man
	@echo "built $(BUILD)/ebb"

demo:
	@scripts/deps demo
	@test -x demo/run || { echo "ebb: this tree has no demo/run" >&2; exit 1; }
	@$(CONFIGURE) -B $(BUILD) >/dev/null
	@$(NINJA) -C $(BUILD) ebb demo_programs
	@EBB="$(abspath $(BUILD))/ebb" BUILD="$(abspath $(BUILD))" demo/run

test:
	@scripts/deps test
	@$(CONFIGURE) -B $(BUILD) -DEBB_TESTS=ON >/dev/null
	@$(NINJA) -C $(BUILD)
	@tests/run --build $(BUILD) t0 t1

# TIERS=t2 runs only what `make test` leaves out.
check:
	@scripts/deps check
	@$(CONFIGURE) -B $(BUILD) -DEBB_TESTS=ON >/dev/null
	@$(NINJA) -C $(BUILD)
	@$(SANITIZED) -B $(BUILD)/asan -DEBB_SANITIZE=address,undefined >/dev/null
	@$(NINJA) -C $(BUILD)/asan ebb unit_programs fuzz_programs
	@$(SANITIZED) -B $(BUILD)/tsan -DEBB_SANITIZE=thread >/dev/null
	@$(NINJA) -C $(BUILD)/tsan unit_programs
	@tests/run --build $(BUILD) $(TIERS)

# The long forms: calls by the thousand, kills by the hundred, minutes of attacks, libebb under
# stress. An hour; STRESS_SECONDS=N: so long for the latter.
soak:
	@scripts/deps check
	@$(CONFIGURE) -B $(BUILD) -DEBB_TESTS=ON >/dev/null
	@$(NINJA) -C $(BUILD)
	@tests/run --build $(BUILD) --long --match 'call|integrity|lib-stress|go-accuracy' t2

bench:
	@scripts/deps bench
	@test -x bench/run || { echo "ebb: this tree has no bench/run" >&2; exit 1; }
	@$(CONFIGURE) -B $(BUILD) >/dev/null
	@$(NINJA) -C $(BUILD) ebb libebb bench_programs test_programs
	@EBB="$(abspath $(BUILD))/ebb" BUILD="$(abspath $(BUILD))" bench/run

fuzz:
	@scripts/deps fuzz
	@CC=clang $(CONFIGURE) -B $(BUILD)/fuzz -DEBB_TESTS=AUTO -DEBB_FUZZ=ON >/dev/null
	@$(NINJA) -C $(BUILD)/fuzz fuzz_programs
	@scripts/fuzz $(BUILD)/fuzz $(FUZZ_SECONDS)

# Builds only what is not built, so that `sudo make install` after `make` compiles nothing.
install:
	@test -e $(BUILD)/docs/man/stamp -a -e $(BUILD)/libebb.so || $(MAKE) all
	@cmake --install $(BUILD) --prefix $(PREFIX)

deps:
	@scripts/deps test

clean:
	rm -rf $(BUILD)

help:
	@echo "make            build $(BUILD)/ebb and libebb"
	@echo "make demo       a process that holds freed memory, explained and brought down"
	@echo "make test       style and unit tests (T0, T1)"
	@echo "make check      these, sanitizers, analysis, real programs (T2); TIERS=t2: T2 alone"
	@echo "make soak       the long forms of attacks, and of stress on libebb (T3)"
	@echo "make bench      measurements against the goals"
	@echo "make fuzz       every fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS)"
	@echo "make install    to DESTDIR and PREFIX=$(PREFIX)"
	@echo "make deps       install what building and testing need"
	@echo "make clean      remove $(BUILD)"
