# Pyrometer. The two commands of the README are `make demo` and `make check`; `make help` lists the rest.
# Everything is built below build/$(MODE): release (default), debug, asan, tsan.

MODE ?= release
VERSION := 0.1.0
PREFIX ?= /usr/local
# Another for bench-clients where PyTorch is not in the first python3 of the path, or for python-package setuptools.
PYTHON ?= python3
BUILD := build/$(if $(filter release,$(MODE)),obj,$(MODE))
BIN := $(if $(filter release,$(MODE)),build,$(BUILD))

DAEMON_PACKAGES := libuv libmicrohttpd libcjson sqlite3 libzstd yaml-0.1 zlib libcurl gnutls gmp
CLI_PACKAGES := libcjson libcurl zlib yaml-0.1 sqlite3 libzstd gnutls
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wformat=2 -Wvla -Wstrict-prototypes \
  -Wmissing-prototypes -Wnull-dereference -Wdouble-promotion -Wundef -Wcast-qual -Wwrite-strings \
  -Wpointer-arith -Wimplicit-fallthrough -Wswitch-enum
HARDENING := -fstack-protector-strong -fPIE
# Readings must be the same to the last bit after a restart, on every build: no fused multiply-add.
CFLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2
CFLAGS_debug := -O0 -g
CFLAGS_asan := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all \
  -fsanitize=address,undefined,float-divide-by-zero,float-cast-overflow
LDFLAGS_asan := -fsanitize=address,undefined
CFLAGS_tsan := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
LDFLAGS_tsan := -fsanitize=thread
CFLAGS ?= $(CFLAGS_$(MODE))
WERROR ?= -Werror

pkgs = $(shell pkg-config $(1) 2>/dev/null)
PACKAGE_CFLAGS := $(call pkgs,--cflags $(DAEMON_PACKAGES) $(CLI_PACKAGES) check)
ALL_CFLAGS = -std=gnu11 -ffp-contract=off $(WARNINGS) $(WERROR) $(HARDENING) $(CFLAGS) -I. \
  -DPYROMETER_VERSION='"$(VERSION)"' $(PACKAGE_CFLAGS) -pthread -MMD -MP
ALL_LDFLAGS = $(LDFLAGS_$(MODE)) $(LDFLAGS) -pie -Wl,-z,relro,-z,now -pthread
DAEMON_LIBS := $(call pkgs,--libs $(DAEMON_PACKAGES)) -lm
CLI_LIBS := $(call pkgs,--libs $(CLI_PACKAGES)) -lm
CHECK_LIBS := $(call pkgs,--libs check snappy)
# A line a file; `make V=1` shows the commands.
Q := $(if $(V),,@)
say = $(if $(V),,@echo "  $(1)	$(2)")

ROOMS := base config wire probes alerts storage runs api delivery remote
objects = $(patsubst %.c,$(BUILD)/%.o,$(sort $(foreach d,$(1),$(wildcard $(d)/*.c))))
ROOM_OBJECTS := $(call objects,$(ROOMS)) $(BUILD)/api/assets.o
DAEMON_OBJECTS := $(call objects,daemon)
DAEMON_PARTS := $(filter-out $(BUILD)/daemon/main.o,$(DAEMON_OBJECTS))
CLI_OBJECTS := $(call objects,cli base wire probes alerts config storage) \
  $(BUILD)/runs/view.o $(BUILD)/runs/rules.o
CLIENT_OBJECTS := $(call objects,clients/c)
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
PROGRAMS := $(BIN)/pyrometerd $(BIN)/pyrometer $(BIN)/libpyrometer.a $(BIN)/libpyrometer.so \
  $(BIN)/pyrometer-demo clients/python/pyrometer/_native.abi3.so

all: $(PROGRAMS)

# The dashboard's files; those of npm are optional, see scripts/embed.py.
WEB_FILES := $(wildcard web/*.html web/*.js web/*.css web/*.svg) \
  $(wildcard web/node_modules/.package-lock.json)

$(BIN)/pyrometerd: $(DAEMON_OBJECTS) $(ROOM_OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(DAEMON_LIBS)
$(BIN)/pyrometer: $(CLI_OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CLI_LIBS)
$(BIN)/libpyrometer.a: $(CLIENT_OBJECTS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(BIN)/libpyrometer.so: $(CLIENT_OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared $(LDFLAGS_$(MODE)) $(LDFLAGS) -Wl,-z,relro,-z,now -Wl,-soname,libpyrometer.so.0 \
	  -pthread -o $@ $^ -lm -lz
# Where Python finds it in the tree; pip compiles its own (setup.py). Never with a sanitizer.
clients/python/pyrometer/_native.abi3.so: clients/python/pyrometer/_native.c clients/c/moments.c clients/c/moments.h
	$(call say,LINK,$@)
	$(Q)$(CC) -std=gnu11 -ffp-contract=off $(WARNINGS) $(WERROR) -O3 -fPIC -fvisibility=hidden -shared \
	  $(LDFLAGS) -o $@ $(filter %.c,$^)
$(BIN)/pyrometer-demo: $(BUILD)/examples/digits.o $(BIN)/libpyrometer.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lm -lz
$(BIN)/loadgen: $(call objects,bench base wire config) $(BUILD)/cli/workload.o
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(DAEMON_LIBS)
$(BIN)/bench-client: $(BUILD)/bench/clients/step.o $(BIN)/libpyrometer.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lm -lz
$(BIN)/bench-instruments: $(call objects,bench/instruments base probes)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lm
$(BIN)/bench-rules: $(call objects,bench/rules alerts base probes) $(BUILD)/bench/instruments/steps.o
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lm
$(BIN)/client-job: $(BUILD)/tests/clients/job.o $(BIN)/libpyrometer.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lm -lz
# Loaded into a daemon by tests: never with a sanitizer of its own.
$(BIN)/fault%.so: tests/e2e/fault%.c
	$(call say,LINK,$@)
	$(Q)$(CC) -std=gnu11 $(WARNINGS) $(WERROR) -O1 -fPIC -shared -o $@ $< -ldl
$(BIN)/calibrate: $(call objects,tests/calibrate) $(BIN)/libpyrometer.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lm -lz
$(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(DAEMON_PARTS) $(ROOM_OBJECTS) $(BIN)/libpyrometer.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(DAEMON_LIBS) $(CHECK_LIBS)
$(BUILD)/clients/c/%.o: ALL_CFLAGS += -fPIC -fvisibility=hidden
$(BUILD)/api/assets.c: scripts/embed.py $(WEB_FILES)
	$(call say,WEB,$@)
	$(Q)python3 scripts/embed.py web $@
$(BUILD)/base/powers.h: scripts/powers.py
	$(call say,TABLE,$@)
	$(Q)python3 scripts/powers.py $@
$(BUILD)/base/shortest.o: $(BUILD)/base/powers.h
$(BUILD)/base/shortest.o: ALL_CFLAGS += -I$(BUILD)
$(BUILD)/alerts/oncall_texts.h: scripts/oncall.py docs/alerting.md
	$(call say,TABLE,$@)
	$(Q)python3 scripts/oncall.py docs/alerting.md $@
$(BUILD)/alerts/oncall.o: $(BUILD)/alerts/oncall_texts.h
$(BUILD)/alerts/oncall.o: ALL_CFLAGS += -I$(BUILD)
$(BUILD)/api/openapi.o: api/schemas.json
$(BUILD)/api/assets.o: $(BUILD)/api/assets.c
	$(call say,CC,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<
$(BUILD)/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

deps: ## install what building, testing and running need (apt; as root or by sudo)
	@scripts/deps.sh test
	@scripts/web.sh test
web: ## fetch from npm what the dashboard is plotted with; the next make builds it in
	@scripts/web.sh
demo: ## the main job: a daemon, a real training run, its temperatures and alerts
	@scripts/deps.sh
	@scripts/web.sh if-able
	@$(MAKE) --no-print-directory all
	@scripts/demo.sh
check: ## every test, plain and under ASan+UBSan; ends with 'N passed, N failed'
	@scripts/deps.sh test
	@scripts/web.sh test
	@tests/run.sh
bench-web: all ## how soon the dashboard is there, with 100 runs and one of 1,000,000 steps
	@$(MAKE) --no-print-directory $(BIN)/loadgen
	@scripts/web.sh test
	@node bench/web.mjs
RUNS ?= lr-ramp=tests/data/lr-ramp.ndjson.gz adamw=tests/data/adamw.ndjson.gz sgd-momentum=tests/data/sgd-momentum.ndjson.gz nan-gradient=tests/data/nan-gradient.ndjson.gz
pictures: all ## docs/images anew, from RUNS="NAME=RECORDING.ndjson.gz ..."; the first is the run that is shown
	@scripts/web.sh test
	@node scripts/screenshots.mjs $(RUNS)
check-web: all ## the dashboard's tests alone, in Chromium
	@scripts/web.sh test
	@node tests/web/main.mjs
unit-tests: $(UNIT_TESTS) $(BIN)/calibrate $(BIN)/loadgen $(BIN)/bench-instruments $(BIN)/bench-rules $(BIN)/faultfs.so $(BIN)/faultmem.so $(BIN)/client-job
client-tests: $(filter $(BUILD)/tests/test_client%,$(UNIT_TESTS)) $(BIN)/client-job
torture: all unit-tests ## fault tests in full: power cuts; kill -9; each allocation, write, sync, rename fails in turn (make check tries a share)
	@FAULTS=all $(BUILD)/tests/test_powercut
	@FAULTS=all PYTHONDONTWRITEBYTECODE=1 python3 tests/e2e/suite.py -k Allocations -k Each torture tests/e2e test_memory test_trouble
	@FAULTS=all PYTHONDONTWRITEBYTECODE=1 python3 tests/e2e/suite.py torture tests/e2e test_kill test_history
check-valgrind: ## the C unit tests and one whole daemon run under valgrind
	@scripts/deps.sh
	@tests/run.sh valgrind
check-threads: ## the C client's tests under ThreadSanitizer
	@scripts/deps.sh
	@tests/run.sh threads
bench: all $(BIN)/loadgen ## speed, memory and disk, beside the peers that are installed: docs/benchmarks.md
	@python3 bench/bench.py --out docs/benchmarks.md $(ARGS)
bench-clients: all $(BIN)/bench-client ## what the clients take from a job's step: docs/bench-clients.md
	@$(PYTHON) bench/clients/clients.py --out docs/bench-clients.md $(ARGS)
bench-instruments: $(BIN)/bench-instruments ## CPU time of all instruments a layer-step, and their state a layer
	@$(BIN)/bench-instruments $(ARGS)
bench-rules: $(BIN)/bench-rules ## CPU time of all rules a layer-step, for 1,000 runs of 100 layers
	@$(BIN)/bench-rules $(ARGS)
bench-remote: all $(BIN)/loadgen ## what a receiver of remote write costs the daemon: docs/remote-write.md
	@python3 bench/remote_write.py
	@python3 bench/remote_write.py --runs 1 --layers 20000
	@python3 bench/remote_write.py --runs 1 --layers 100000 --interval 15 --rounds 3
python-package: ## the Python client as wheel and sdist in build/python (PYTHON=...: one that has setuptools and wheel)
	@$(PYTHON) scripts/python-package.py build/python
bench-peers: ## install Debian's packages of the programs that `make bench` compares with
	@scripts/bench-peers.sh
calibrate: all $(BIN)/calibrate ## simulated systems of known temperature against the readings: docs/calibration.md
	@python3 tests/calibrate/calibrate.py $(ARGS)
ramps: all ## does the stability fraction lead failing learning rates? part of docs/calibration.md
	@python3 tests/calibrate/ramps.py $(ARGS)
quality: all ## labelled recordings (ARGS=DIRECTORY...) through the daemon: what its alerts are worth, beside other tools
	@python3 tests/quality/quality.py $(ARGS)
recordings: ## further labelled runs into DIR, for `make quality` (ARGS: tests/quality/record.py; needs python3-torch, python3-sklearn)
	@python3 tests/quality/record.py $(DIR) $(ARGS)
fuzz: ## libFuzzer over the parsers for SECONDS each (60)
	@tests/fuzz/run.sh $(SECONDS)
lint: ## budgets (function <= 60 lines, complexity <= 15, file <= 600 lines), banned calls, cppcheck
	@scripts/lint.sh
format: ## clang-format every C file
	clang-format -i $(wildcard $(addsuffix /*.[ch],$(ROOMS) daemon cli clients/c examples tests/unit tests/calibrate bench))
install: all ## honours DESTDIR and PREFIX
	install -D -m 755 $(BIN)/pyrometerd $(DESTDIR)$(PREFIX)/bin/pyrometerd
	install -D -m 755 $(BIN)/pyrometer $(DESTDIR)$(PREFIX)/bin/pyrometer
	install -D -m 644 $(BIN)/libpyrometer.a $(DESTDIR)$(PREFIX)/lib/libpyrometer.a
	install -D -m 755 $(BIN)/libpyrometer.so $(DESTDIR)$(PREFIX)/lib/libpyrometer.so.0
	ln -sf libpyrometer.so.0 $(DESTDIR)$(PREFIX)/lib/libpyrometer.so
	install -D -m 644 clients/c/pyrometer.h $(DESTDIR)$(PREFIX)/include/pyrometer.h
	install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' clients/c/pyrometer.pc.in \
	  > $(DESTDIR)$(PREFIX)/lib/pkgconfig/pyrometer.pc
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 cli/pyrometer.1
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man3 clients/c/man/*.3
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man8 daemon/pyrometerd.8
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|@BINDIR@|$(PREFIX)/bin|' systemd/pyrometerd.service \
	  > $(DESTDIR)$(PREFIX)/lib/systemd/system/pyrometerd.service
	install -D -m 644 config/pyrometer.yaml $(DESTDIR)$(PREFIX)/share/pyrometer/pyrometer.yaml
uninstall: ## what install put there, with the same DESTDIR and PREFIX
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/,bin/pyrometerd bin/pyrometer lib/libpyrometer.a \
	  lib/libpyrometer.so.0 lib/libpyrometer.so include/pyrometer.h lib/pkgconfig/pyrometer.pc \
	  lib/systemd/system/pyrometerd.service share/pyrometer/pyrometer.yaml share/man/man1/pyrometer.1 \
	  $(addprefix share/man/man3/,$(notdir $(wildcard clients/c/man/*.3))) share/man/man8/pyrometerd.8)
	-rmdir $(DESTDIR)$(PREFIX)/share/pyrometer
clean: ## remove what was built
	rm -rf build clients/python/pyrometer/*.so
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

.PHONY: all deps web demo check check-web pictures torture bench-web unit-tests client-tests check-valgrind check-threads bench bench-clients bench-instruments bench-rules bench-peers bench-remote python-package calibrate ramps quality recordings fuzz lint format install uninstall clean help
.SECONDARY:
-include $(shell find build -name '*.d' 2>/dev/null)
