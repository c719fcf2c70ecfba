# SPDX-License-Identifier: GPL-2.0-or-later
# PMO. `make help` lists the targets.

BUILD ?= build
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-8s %s\n' $(1) $(2))

CLANG ?= $(firstword $(shell command -v clang clang-19 clang-16 clang-15 clang-14 2>/dev/null))
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /sbin/bpftool) $(shell command -v bpftool))
ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(shell uname -m)))
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)

AGENT_LIBS := libbpf libelf capstone libuv libmicrohttpd libcurl jansson yaml-0.1 sqlite3 libsystemd \
              libical libxml-2.0 rdkafka gnutls libnl-3.0 libnl-route-3.0 libnl-idiag-3.0 zlib lapacke blas
TOOL_LIBS := libcurl jansson smartcols libuv
# A fresh machine has none of this before `make deps`, so it is looked for when it is used.
incomplete = $(error something that the build needs is missing: run `make deps` as root)
pkg_config = $(or $(shell pkg-config $(1)),$(incomplete))
pkg_cflags = $(call pkg_config,--cflags $(AGENT_LIBS) $(TOOL_LIBS))
pkg_libs = $(call pkg_config,--libs $(1))

SANITIZE ?=
CFLAGS ?= -O2 -g
override CFLAGS += -std=gnu17 -Wall -Wextra -Werror -Wno-unused-parameter -fno-omit-frame-pointer \
	-D_GNU_SOURCE -DPMO_VERSION='"$(VERSION)"' -I. -Iinclude -I$(BUILD)/bpf \
	$(if $(SANITIZE),-fsanitize=address$(comma)undefined -fno-sanitize-recover=all)
override LDFLAGS += $(if $(SANITIZE),-fsanitize=address$(comma)undefined)
comma := ,
BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-parameter \
	-D__TARGET_ARCH_$(ARCH) -I. -Iinclude -Ivmlinux -I/usr/include/$(shell uname -m)-linux-gnu

agent_src := $(filter-out agent/main.c,$(wildcard agent/*.c agent/*/*.c))
agent_obj := $(agent_src:%.c=$(BUILD)/obj/%.o)
unit_src := $(wildcard tests/unit/*.c)
bpf_test_src := $(wildcard tests/bpf/*.c)
bpf_obj := $(patsubst bpf/%.bpf.c,$(BUILD)/bpf/%.bpf.o,$(wildcard bpf/*.bpf.c))
skeletons := $(bpf_obj:.bpf.o=.skel.h)
# every tools/NAME.c is a program build/NAME; tools/NAME/*.c are linked into it
tools := $(patsubst tools/%.c,$(BUILD)/%,$(wildcard tools/*.c))
programs := $(BUILD)/pmo-agent $(tools)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
.PHONY: all help deps run observe test test-kernels fuzz bench bench-forecast bench-scaling asan clean format check-format

all: $(programs) $(BUILD)/libpmo.so ## build the agent, the tools and libpmo

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install what building, running and testing need (Debian; root)
	$(Q)tools/install-deps

# ---- kernel side ---------------------------------------------------------------------------------
$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF,$@)
	$(Q)$(or $(CLANG),$(incomplete)) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -MT $@ -c $< -o $@.tmp
	$(Q)$(or $(BPFTOOL),$(incomplete)) gen object $@ $@.tmp && rm $@.tmp

$(BUILD)/bpf/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(subst -,_,$*)_bpf > $@

# ---- user space ----------------------------------------------------------------------------------
$(BUILD)/obj/%.o: %.c | $(skeletons)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS) $(pkg_cflags) -fPIC -MMD -MP -c $< -o $@

$(BUILD)/libagent.a: $(agent_obj)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/pmo-agent: $(BUILD)/obj/agent/main.o $(BUILD)/libagent.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(call pkg_libs,$(AGENT_LIBS)) -lm

$(BUILD)/libpmo.so: $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard libpmo/*.c)) libpmo/libpmo.map
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-soname,libpmo.so.1 -Wl,--version-script=libpmo/libpmo.map \
		$(filter %.o,$^) -o $@

libpmo_obj := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard libpmo/*.c))

define tool_rule
$(BUILD)/$(1): $(BUILD)/obj/tools/$(1).o $$(patsubst %.c,$(BUILD)/obj/%.o,$$(wildcard tools/$(1)/*.c)) \
		$(BUILD)/libagent.a $(libpmo_obj)
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(LDFLAGS) $$^ -o $$@ $$(call pkg_libs,$(AGENT_LIBS) $(TOOL_LIBS)) -lm
endef
$(foreach t,$(notdir $(tools)),$(eval $(call tool_rule,$(t))))

# ---- tests ---------------------------------------------------------------------------------------
pmoctl_obj := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tools/pmoctl/*.c))
$(BUILD)/unit-tests: $(unit_src:%.c=$(BUILD)/obj/%.o) $(pmoctl_obj) $(BUILD)/libagent.a $(libpmo_obj)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(call pkg_libs,$(AGENT_LIBS) $(TOOL_LIBS)) -lcunit -lnghttp2 -lm

$(BUILD)/bpf-tests: $(bpf_test_src:%.c=$(BUILD)/obj/%.o) $(BUILD)/obj/tests/unit/suite.o \
		$(BUILD)/libagent.a $(libpmo_obj)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(call pkg_libs,$(AGENT_LIBS) $(TOOL_LIBS)) -lcunit -lssl -lcrypto -lm

# every tests/e2e/NAME.c is a program that an end-to-end test runs
e2e_programs := $(patsubst tests/e2e/%.c,$(BUILD)/e2e/%,$(wildcard tests/e2e/*.c))
$(e2e_programs): $(BUILD)/e2e/%: $(BUILD)/obj/tests/e2e/%.o $(libpmo_obj)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(libraries)

$(BUILD)/e2e/tls_static: libraries = -l:libssl.a -l:libcrypto.a \
	$(filter-out -lcrypto,$(call pkg_config,--static --libs libcrypto))

$(BUILD)/e2e/kafka_broker: libraries = $(call pkg_libs,rdkafka)

# the same program with BoringSSL
android = /usr/lib/$(shell $(CC) -print-multiarch)/android
$(BUILD)/e2e/tls_boringssl: tests/e2e/tls_static.c
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -isystem /usr/include/android $(LDFLAGS) $< -o $@ \
		-L$(android) -Wl,-rpath,$(android) -lssl -lcrypto
e2e_programs += $(BUILD)/e2e/tls_boringssl

# every tests/bench/NAME.c is a program that tests/bench/run runs
bench_programs := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/*.c))
$(bench_programs): $(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(BUILD)/libagent.a $(libpmo_obj)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(call pkg_libs,$(AGENT_LIBS)) -lnghttp2 -lm

# Every tests/fuzz/NAME_fuzz.c is a libFuzzer target, with seeds in tests/fuzz/corpus/NAME. libFuzzer
# is a part of clang, so clang it is, whatever the rest is built with.
fuzzers := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/*_fuzz.c))
FUZZ_CFLAGS := -O1 -g -std=gnu17 -Wall -Wextra -Werror -Wno-unused-parameter -D_GNU_SOURCE \
	-I. -Iinclude -fno-omit-frame-pointer -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
$(BUILD)/fuzz/http1_fuzz: fuzz_libs := -lhttp_parser
$(BUILD)/fuzz/http2_fuzz: fuzz_libs := -lnghttp2
$(BUILD)/fuzz/wire_fuzz: fuzz_libs := -lhiredis
$(fuzzers): $(BUILD)/fuzz/%: tests/fuzz/%.c
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)
	$(Q)$(or $(CLANG),$(incomplete)) $(FUZZ_CFLAGS) -MMD -MP -MF $@.d -MT $@ $< -o $@ $(fuzz_libs)

asan: # everything once more under AddressSanitizer and UndefinedBehaviorSanitizer
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SANITIZE=1 CFLAGS="-O1 -g" \
		$(BUILD)/asan/unit-tests $(BUILD)/asan/bpf-tests $(BUILD)/asan/pmo-agent $(BUILD)/asan/pmoctl

test: deps ## install what is missing, build, and run all tests (root)
	$(Q)$(MAKE) --no-print-directory -j$(shell nproc) all $(BUILD)/unit-tests $(BUILD)/bpf-tests \
		$(e2e_programs) $(fuzzers) asan
	$(Q)BUILD=$(BUILD) tests/run

fuzz: deps ## fuzz the parsers in earnest (TIME=3600 seconds each; TARGETS=http1 for one of them)
	$(Q)$(MAKE) --no-print-directory $(fuzzers)
	$(Q)BUILD=$(BUILD) tests/fuzz/run $(or $(TIME),3600) $(TARGETS)

test-kernels: deps ## boot Debian's 6.1 and 6.12 kernels in qemu and run the BPF tests there (KERNELS=trixie)
	$(Q)$(MAKE) --no-print-directory $(BUILD)/bpf-tests $(BUILD)/pmoctl
	$(Q)BUILD=$(BUILD) tests/kernels/run $(KERNELS)

run: deps ## the main job on this host: two services, load, forecasts, scaling (root; DURATION=180)
	$(Q)$(MAKE) --no-print-directory all
	$(Q)BUILD=$(BUILD) DURATION=$(DURATION) tools/quickstart

observe: deps ## watch this host's own traffic, with no configuration (root)
	$(Q)$(MAKE) --no-print-directory all
	$(Q)BUILD=$(BUILD) DURATION=$(DURATION) tools/quickstart observe

bench: deps ## measure what docs/benchmarks.md claims (root; PARTS="requests xdp" for some of it)
	$(Q)$(MAKE) --no-print-directory all $(bench_programs) $(BUILD)/e2e/kill_latency
	$(Q)BUILD=$(BUILD) tests/bench/run $(PARTS)

bench-scaling: deps ## scaling for real: how soon an order follows a step, and late requests beside the HPA (root; 15 minutes)
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/bench/scaling.py $(BUILD) $(if $(MINUTES),--minutes $(MINUTES))

bench-forecast: deps ## forecasts of real traces beside R's, at 500 random origins (BUILD/forecast keeps R's)
	$(Q)$(MAKE) --no-print-directory $(BUILD)/pmoctl
	$(Q)BUILD=$(BUILD) tests/bench/forecast

clean: ## remove what was built
	rm -rf $(BUILD)

c_files := agent bpf include libpmo tests tools -name '*.[ch]'

format: ## format all C files
	find $(c_files) -exec clang-format -i {} +

check-format: # each version formats a little differently: only the one that wrote the files can tell
	$(Q)case $$(clang-format --version) in \
	*' 14.'*) find $(c_files) -exec clang-format --dry-run -Werror {} + ;; \
	*) echo "check-format: skipped, it needs clang-format 14 (Debian 12)" ;; \
	esac

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
