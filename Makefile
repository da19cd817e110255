# A short front for Meson. `make quickstart` and `make test` also install what is missing, from Debian's packages.

BUILD ?= build
PREFIX ?= /usr/local
LIBDIR ?= lib
MESON := $(firstword $(wildcard /usr/bin/meson) meson)

.PHONY: all build quickstart test bench conformance install uninstall clean format deps

all: build

deps:
	@scripts/install-deps build

$(BUILD)/build.ninja: | deps
	@$(MESON) setup $(BUILD) --prefix $(PREFIX) --libdir $(LIBDIR) -Dwerror=true >/dev/null

build: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

quickstart: build
	@scripts/quickstart $(BUILD)

test: build
	@scripts/install-deps test
	@tests/run $(BUILD) $(TESTS)

bench: build
	@scripts/install-deps bench
	@bench/run $(BUILD) $(ROUNDS)

conformance: build
	@tests/conformance/run $(SUITES) $(CONFORMANCE)

install: build
	@$(MESON) install -C $(BUILD)
	@[ -n "$(DESTDIR)" ] || ldconfig 2>/dev/null || true

uninstall:
	@$(PREFIX)/sbin/tared --cleanup
	@ninja -C $(BUILD) uninstall

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf $(BUILD) build-*
