# make help lists the targets.   V=1 shows the commands, SAN=1 builds with
# ASan and UBSan into build-san, CC=clang builds with clang.

, := ,
BUILD  := build$(if $(SAN),-san)
LUA    := lua5.4
CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
WARN   := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
          -Wpointer-arith -Wwrite-strings -Wvla -Wno-psabi -Wno-unknown-pragmas
SANFLAGS := $(if $(SAN),-fsanitize=address$(,)undefined -fno-omit-frame-pointer)
CBASE  := -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -MMD -MP $(WARN) $(SANFLAGS)
INC     = -Isrc -I$(BUILD) $(shell pkg-config --cflags lua5.4 jansson)
LDLIBS  = -lopenblas -lsleef -ljansson -lz -lm -lpthread
Q := $(if $(V),,@)

# Kernel sources are built once per dtype and instruction set (tensor/build.h);
# -ffp-contract lets the compiler fuse multiply and add, nothing else is loosened.
# A hint to unroll that clang cannot take is no defect (pass-failed).
KFLAGS   := $(if $(SAN),-O1,-O3) -ffp-contract=fast -fno-math-errno -fno-trapping-math \
            -Wno-pass-failed
FLAGS_base := -DFOV_LEVEL=0
FLAGS_v3 := -DFOV_LEVEL=1 -march=x86-64-v3
FLAGS_v4 := -DFOV_LEVEL=2 -march=x86-64-v4 -mprefer-vector-width=512
FLAGS_f32 := -DFOV_REAL=32
FLAGS_f64 := -DFOV_REAL=64
ISAS := base v3 v4

# An operator is a file in src/ops that is not the registry itself.
OPS    := $(sort $(filter-out op,$(basename $(notdir $(wildcard src/ops/*.c)))))
KERN   := $(wildcard src/tensor/kernels/*.c) $(OPS:%=src/ops/%.c)
APP    := $(wildcard src/app/*.c)
PLAIN  := $(filter-out $(KERN) $(APP),$(wildcard src/*/*.c))
POBJ   := $(PLAIN:%.c=$(BUILD)/%.o)
KOBJ   := $(foreach i,$(ISAS),$(foreach r,f32 f64,$(KERN:%.c=$(BUILD)/%.$(r).$(i).o)))
OBJ    := $(POBJ) $(KOBJ)
AOBJ   := $(APP:%.c=$(BUILD)/%.o)
CORE   := $(filter-out $(BUILD)/src/bind/%,$(OBJ))
CTEST  := $(patsubst tests/%.c,$(BUILD)/tests/%.t,$(wildcard tests/*.c))

all: $(BUILD)/lib/fovea/core.so $(BUILD)/fovea

# nodelete: lua_close unloads modules, and worker threads outlive the state.
$(BUILD)/lib/fovea/core.so: $(OBJ)
	@mkdir -p $(@D)
	$(Q)$(CC) -shared -Wl,-z,nodelete $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/fovea: $(AOBJ) $(OBJ)
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) -rdynamic -o $@ $^ -llua5.4 -lreadline $(LDLIBS)

$(BUILD)/ops.inc: $(wildcard src/ops)
	@mkdir -p $(@D)
	$(Q)printf 'X(%s)\n' $(OPS) > $@.tmp
	$(Q)cmp -s $@.tmp $@ && rm $@.tmp || mv $@.tmp $@

$(POBJ) $(AOBJ): $(BUILD)/%.o: %.c | $(BUILD)/ops.inc
	@mkdir -p $(@D)
	$(Q)$(CC) $(CBASE) $(INC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
$(BUILD)/src/ops/op.o: $(BUILD)/ops.inc

define kernel
$(KERN:%.c=$(BUILD)/%.$(1).$(2).o): $(BUILD)/%.$(1).$(2).o: %.c
	@mkdir -p $$(@D)
	$(Q)$$(CC) $$(CBASE) $$(INC) $$(CPPFLAGS) $$(CFLAGS) $(KFLAGS) $(FLAGS_$(1)) $(FLAGS_$(2)) -c -o $$@ $$<
endef
$(foreach i,$(ISAS),$(foreach r,f32 f64,$(eval $(call kernel,$(r),$(i)))))

$(BUILD)/tests/%.t: tests/%.c tests/tap.h $(CORE)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CBASE) $(INC) $(CFLAGS) -o $@ $< $(CORE) $(LDFLAGS) $(LDLIBS)

# ---- commands that start from a bare machine ------------------------------

deps:
	$(Q)sh .ci/deps

demo: deps
	$(Q)$(MAKE) --no-print-directory -j2 all
	$(Q)$(BUILD)/fovea run experiments/kernel_comparison

check: deps
	$(Q)$(MAKE) --no-print-directory -j2 test

test: all $(CTEST)
	$(Q)BUILD=$(BUILD) prove -j2 --exec tests/exec tests/*.t $(CTEST)

bench: deps
	$(Q)$(MAKE) --no-print-directory -j2 all
	$(Q)$(BUILD)/fovea run experiments/bench $(if $(BASE),--base=$(BASE)) $(ARGS)

# Generated, committed, and checked for freshness by tests/layers.t.
stubs: all
	$(Q)$(BUILD)/fovea -e 'require "fovea.stubs" "lua/fovea/meta.lua"'

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/lua/5.4/fovea $(DESTDIR)$(PREFIX)/share/lua/5.4
	install $(BUILD)/fovea $(DESTDIR)$(PREFIX)/bin/fovea
	install -m 644 $(BUILD)/lib/fovea/core.so $(DESTDIR)$(PREFIX)/lib/lua/5.4/fovea/core.so
	cp -r lua/fovea $(DESTDIR)$(PREFIX)/share/lua/5.4/
	install -d $(DESTDIR)$(PREFIX)/share/fovea
	cp -r experiments/data $(DESTDIR)$(PREFIX)/share/fovea/

clean:
	rm -rf build build-san

help:
	@echo 'make           build build/fovea and the Lua module'
	@echo 'make demo      compare attention kernels on real text (installs what is missing)'
	@echo 'make check     run the test suite (installs what is missing); SAN=1: under sanitizers'
	@echo 'make bench     time every operator, beside its peers where they are installed;'
	@echo '               BASE=file.json compares with an earlier run, ARGS=--quick is passed on'
	@echo 'make stubs     write lua/fovea/meta.lua (LuaCATS annotations) from the descriptors'
	@echo 'make install   PREFIX=/usr/local DESTDIR='
	@echo 'make clean     remove build directories'

.DELETE_ON_ERROR:
.PHONY: all deps demo check test bench stubs install clean help
-include $(OBJ:.o=.d) $(AOBJ:.o=.d)
