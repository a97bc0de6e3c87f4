# sprox: see README.md, "Build".
#
#   make            the module, for the nginx on this machine
#   make deps       installs what building, running and testing needs
#   make run        nginx with the module over a sample store, on port 9000
#   make test       everything that CI runs
#   make unit       the unit tests of src/core
#   make replay     the fuzz corpora, once each
#   make fuzz       libFuzzer over each target, FUZZ_SECONDS each
#   make asan       the pytest suite over a module built with sanitizers
#   make bench      the table of speeds
#   make clean

BUILD        ?= build
CC           ?= gcc
FUZZ_CC      ?= clang
FUZZ_SECONDS ?= 30

CORE_SRC  := $(wildcard src/core/*/*.c)
CORE_HDR  := $(wildcard src/core/*/*.h)
CORE_INC  := $(addprefix -I,$(sort $(dir $(CORE_HDR))))
XML_INC   := $(shell pkg-config --cflags libxml-2.0 2>/dev/null)
CORE_LIBS := -lxml2 -lcrypto

WARN      := -Wall -Wextra -Werror -Wpointer-arith -Wshadow -Wstrict-prototypes \
             -Wmissing-prototypes -Wwrite-strings
SANITIZE  := -fsanitize=address,undefined -fno-sanitize-recover=all \
             -fno-omit-frame-pointer

UNIT_SRC  := $(wildcard t/unit/test_*.c)
UNIT_NAME := $(patsubst t/unit/test_%.c,%,$(UNIT_SRC))
FUZZ_SRC  := $(wildcard t/fuzz/fuzz_*.c)
FUZZ_NAME := $(patsubst t/fuzz/fuzz_%.c,%,$(FUZZ_SRC))

.PHONY: all deps run test unit replay fuzz asan bench clean
.DELETE_ON_ERROR:


# the core, with sanitizers, for its own tests

CORE_SAN_OBJ := $(patsubst src/core/%.c,$(BUILD)/core-san/%.o,$(CORE_SRC))

$(BUILD)/core-san/%.o: src/core/%.c $(CORE_HDR)
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

fuzz: $(addprefix $(BUILD)/fuzz/,$(FUZZ_NAME))
	@for t in $(FUZZ_NAME); do \
	    mkdir -p $(BUILD)/fuzz/new-$$t; \
	    $(BUILD)/fuzz/$$t -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=$(BUILD)/fuzz/ \
	        $(BUILD)/fuzz/new-$$t t/fuzz/corpus/$$t || exit 1; done

clean:
	rm -rf $(BUILD)
