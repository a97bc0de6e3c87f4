# sprox: see README.md, "Build".
#
#   make            the module, for the nginx on this machine
#   make deps       installs what building, running and testing needs
#   make run        nginx with the module over a sample store, on port 9000
#   make test       everything that CI runs
#   make unit       the unit tests of src/core and src/store
#   make replay     the fuzz corpora, once each
#   make fuzz       libFuzzer over each target, FUZZ_SECONDS each
#   make asan       the pytest suite over a module built with sanitizers
#   make bench      the table of speeds
#   make soak       SOAK seconds of everything at once, failing
#   make clean      (make distclean removes what deps put into .deps as well)
#
#   NGINX_SRC=DIR     nginx's source tree instead of Debian's nginx-dev: builds
#                   an nginx too, and the tests run that one. Give it a BUILD
#                   folder of its own.
#   TESTS=...       what pytest runs, and its options
#   SOAK=600        SOAK_OPTIONS: of t/soak/soak.py, such as --seed 1
#   BENCH=...       the rows of `make bench`, by the beginnings of their names,
#                   and its options (--rounds, --seconds, --patience)

SHELL        := /bin/bash
.SHELLFLAGS  := -eu -o pipefail -c

BUILD        ?= build
CC           ?= gcc
FUZZ_CC      ?= clang
FUZZ_SECONDS ?= 30
JOBS         ?= $(shell nproc)
PYTEST_JOBS  ?= 2
TESTS        ?= t
SOAK         ?= 600

CORE_SRC  := $(wildcard src/core/*/*.c src/store/*.c)
CORE_HDR  := $(wildcard src/core/*/*.h src/store/*.h)
CORE_INC  := $(addprefix -I,$(sort $(dir $(CORE_HDR))))
XML_INC   := $(shell pkg-config --cflags libxml-2.0 2>/dev/null)
CORE_LIBS := -lxml2 -ljansson -lcrypto

MODULE_SRC := ngx_http_sprox_module.c $(wildcard src/ngx/*.c) $(CORE_SRC)
MODULE_HDR := $(wildcard src/ngx/*.h) $(CORE_HDR)

WARN      := -Wall -Wextra -Werror -Wpointer-arith -Wshadow -Wstrict-prototypes \
             -Wmissing-prototypes -Wwrite-strings
SANITIZE  := -fsanitize=address,undefined -fno-sanitize-recover=all \
             -fno-omit-frame-pointer

UNIT_SRC  := $(wildcard t/unit/test_*.c)
UNIT_NAME := $(patsubst t/unit/test_%.c,%,$(UNIT_SRC))
FUZZ_SRC  := $(wildcard t/fuzz/fuzz_*.c)
FUZZ_NAME := $(patsubst t/fuzz/fuzz_%.c,%,$(FUZZ_SRC))

.PHONY: all deps run test unit replay fuzz asan bench soak clean distclean FORCE
.DELETE_ON_ERROR:

all: $(BUILD)/ngx_http_sprox_module.so


# The module, by nginx's own build in a copy of nginx's source tree. Configure
# runs again when its input changes: `config`, the list of files, the options,
# the nginx on the machine. What it writes anew but unchanged keeps its time,
# so that only what changed is compiled.

NGINX_SRC  ?=
NGX_FROM := $(or $(NGINX_SRC),/usr/share/nginx/src)
NGX_OWN  := --with-compat --with-debug --with-threads --with-http_ssl_module \
            --with-http_v2_module --with-http_auth_request_module \
            --with-http_addition_module --with-http_gunzip_module \
            --with-http_slice_module --with-http_sub_module

PLAIN_CC := -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2
PLAIN_LD := -Wl,-z,relro -Wl,-z,now
ifeq ($(NGINX_SRC),)
ASAN_CC  := -O1 -g $(SANITIZE)
ASAN_LD  := -fsanitize=address,undefined
else
# nginx itself is not free of undefined behaviour; but with a source tree each
# allocation from a pool becomes one of its own, whose ends AddressSanitizer sees
ASAN_CC  := -O1 -g -fsanitize=address -fno-omit-frame-pointer -DNGX_DEBUG_PALLOC=1
ASAN_LD  := -fsanitize=address
endif

# 1: where, 2: C options, 3: linker options

define module_rules
$(1)/inputs: FORCE
	@mkdir -p $$(@D)
	@{ printf '%s\n' '$(NGINX_SRC)' '$(NGX_OWN)' '$(2)' '$(3)' \
	   $$(MODULE_SRC) $$(MODULE_HDR); \
	   nginx -V 2>&1 || true; } > $$@.new
	@if cmp -s $$@.new $$@; then rm $$@.new; else mv $$@.new $$@; fi

$(1)/nginx-src/objs/Makefile: config $(1)/inputs
	@test -d $(NGX_FROM)/auto || { echo "no nginx to build for in" \
	    "$(NGX_FROM): 'make deps' installs Debian's nginx-dev" >&2; exit 1; }
	@test "`cat $(1)/nginx-src/from 2>/dev/null`" = $(NGX_FROM) \
	    || rm -rf $(1)/nginx-src
	@test -d $(1)/nginx-src || { cp -r $(NGX_FROM) $(1)/nginx-src; \
	    rm -rf $(1)/nginx-src/objs; echo $(NGX_FROM) > $(1)/nginx-src/from; }
	@echo "configure: $(1)"
	@cd $(1)/nginx-src; \
	rm -rf was; if test -d objs; then mkdir was; cp -p objs/*.[ch] was; fi; \
	NGX_CONF_FLAGS=($(NGX_OWN)); \
	if test -f conf_flags; then . ./conf_flags; fi; \
	configure=./configure; test -x configure || configure=auto/configure; \
	ASAN_OPTIONS=detect_leaks=0 $$$$configure "$$$${NGX_CONF_FLAGS[@]}" \
	    --with-cc-opt='$(2)' --with-ld-opt='$(3)' \
	    --add-dynamic-module=$(CURDIR) > ../configure.log 2>&1 \
	    || { tail -n 40 ../configure.log >&2; rm -f objs/Makefile; exit 1; }; \
	for f in was/*; do \
	    if cmp -s "$$$$f" "objs/$$$${f#was/}"; then cp -p "$$$$f" objs/; fi; \
	done

$(1)/ngx_http_sprox_module.so: $(1)/nginx-src/objs/Makefile FORCE
	@cd $(1)/nginx-src; $$(MAKE) -j$(JOBS) -f objs/Makefile \
	    $(if $(NGINX_SRC),binary) modules > ../make.log 2>&1 \
	    || { grep -vE '^(gcc|cc|clang) |^	' ../make.log >&2; exit 1; }
	@rm -f $(1)/nginx; $(if $(NGINX_SRC),cp $(1)/nginx-src/objs/nginx $(1)/nginx)
	@cmp -s $(1)/nginx-src/objs/$$(@F) $$@ \
	    || { cp $(1)/nginx-src/objs/$$(@F) $$@.new; mv $$@.new $$@; echo "built: $$@"; }
endef

$(eval $(call module_rules,$(BUILD),$(PLAIN_CC),$(PLAIN_LD)))
$(eval $(call module_rules,$(BUILD)/asan,$(ASAN_CC),$(ASAN_LD)))


# The core and the file store, which know nothing of nginx, with sanitizers, for
# their own tests

CORE_SAN_OBJ := $(patsubst src/%.c,$(BUILD)/core-san/%.o,$(CORE_SRC))

$(BUILD)/core-san/%.o: src/%.c $(CORE_HDR)
	@mkdir -p $(@D)
	$(CC) -std=c11 -g -O1 $(WARN) $(SANITIZE) $(CORE_INC) $(XML_INC) -c $< -o $@

$(BUILD)/unit/%: t/unit/test_%.c t/unit/unit.c t/unit/unit.h $(CORE_SAN_OBJ)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -g -O1 -Wall -Wextra -Werror $(SANITIZE) -It/unit $(CORE_INC) \
	    $(XML_INC) $(filter %.c,$^) $(filter %.o,$^) -lcmocka $(CORE_LIBS) -lm -o $@

unit: $(addprefix $(BUILD)/unit/,$(UNIT_NAME))
	@for t in $(UNIT_NAME); do \
	    echo "unit: $$t"; $(BUILD)/unit/$$t || exit 1; done

$(BUILD)/replay/%: t/fuzz/fuzz_%.c t/fuzz/replay.c $(CORE_SAN_OBJ)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -g -O1 -Wall -Wextra -Werror $(SANITIZE) $(CORE_INC) $(XML_INC) \
	    $(filter %.c,$^) $(filter %.o,$^) $(CORE_LIBS) -o $@

replay: $(addprefix $(BUILD)/replay/,$(FUZZ_NAME))
	@for t in $(FUZZ_NAME); do \
	    $(BUILD)/replay/$$t t/fuzz/corpus/$$t/* || exit 1; done

$(BUILD)/fuzz/%: t/fuzz/fuzz_%.c $(CORE_SRC) $(CORE_HDR)
	@mkdir -p $(@D)
	$(FUZZ_CC) -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined \
	    -fno-sanitize-recover=all $(CORE_INC) $(XML_INC) $< $(CORE_SRC) $(CORE_LIBS) -o $@

fuzz:
	@t/deps.sh fuzz
	@$(MAKE) --no-print-directory -s $(addprefix $(BUILD)/fuzz/,$(FUZZ_NAME))
	@for t in $(FUZZ_NAME); do \
	    mkdir -p $(BUILD)/fuzz/new-$$t; \
	    $(BUILD)/fuzz/$$t -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=$(BUILD)/fuzz/ \
	        $(BUILD)/fuzz/new-$$t t/fuzz/corpus/$$t || exit 1; done


# What installs starts first, and anew: before deps ran, pkg-config and the
# rest may be missing, and this file has already asked for them.

PYTEST := SPROX_BUILD=$(BUILD) .deps/venv/bin/python -m pytest -n $(PYTEST_JOBS)

deps:
	@t/deps.sh test

run:
	@t/deps.sh run >&2
	@$(MAKE) --no-print-directory all >&2
	@exec conf/run.sh $(BUILD)

test: deps
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory -j$(JOBS) -s unit
	@$(MAKE) --no-print-directory -j$(JOBS) -s replay
	@$(PYTEST) $(TESTS)

# `make run`, which has a test, runs the module without sanitizers.
asan: deps
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory $(BUILD)/asan/ngx_http_sprox_module.so
	@SPROX_ASAN=1 $(PYTEST) $(TESTS)

bench:
	@t/deps.sh bench
	@$(MAKE) --no-print-directory all
	@SPROX_BUILD=$(BUILD) .deps/venv/bin/python t/bench/bench.py $(BENCH)

soak: deps
	@$(MAKE) --no-print-directory all
	@SPROX_BUILD=$(BUILD) .deps/venv/bin/python t/soak/soak.py \
	    --seconds $(SOAK) $(SOAK_OPTIONS)

clean:
	rm -rf $(BUILD)

distclean: clean
	rm -rf .deps
