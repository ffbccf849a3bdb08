# The tasks of this package. `make` alone lists them.

STORE ?= memory
SWIFT_SOURCES = Package.swift Sources Tests Examples Verification/Torture Verification/Soak Verification/PublicSurface Benchmarks/Package.swift Benchmarks/Sources Macros/Package.swift Macros/Sources Macros/Tests \
	Cachectl/Package.swift Cachectl/Sources Cachectl/Tests

.DEFAULT_GOAL := help
.PHONY: api help setup build demo test test-release test-traits test-macros cachectl test-cachectl test-races test-memory bench bench-peers verify torture soak fuzz format check-format clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "make %-14s %s\n", $$1, $$2 }'

setup: ## install what is missing: libmemcached, memcached, pkg-config, the time-zone table
	@scripts/setup

build: setup ## build everything
	swift build

demo: setup ## show the main job, in memory; STORE=memcached shows it on a real memcached
	swift build --product CityDemo
	@STORE=$(STORE) "$$(swift build --show-bin-path)/CityDemo"

# The interleavings keep all cores busy, a process for each test. Others start processes of their own that do.
BUSY_SUITES = HostileRelayTests|LeftoversTests|ShieldUnderLoadTests

test: setup ## run all tests; they start and stop their own memcached processes
	swift test --skip 'InterleavingTests|$(BUSY_SUITES)'
	swift test --filter InterleavingTests
	swift test --filter '$(BUSY_SUITES)'

# What the client does with callers' tasks rests on what the compiler makes of it.
test-release: setup ## run the tests of resuming tasks in optimized code, and those of traits with all of them
	@scripts/setup zstd
	swift test --configuration release --enable-all-traits -Xswiftc -enable-testing --scratch-path .build-release \
		--filter 'ResumptionTests|ReadyCallsTests|CallTests|ConversationTests|BusyTaskTests|CompressionTests|EcosystemTests'

test-traits: setup ## build everything without any trait, and run the tests that are left of those of traits
	@scripts/test-traits

# Whoever does not ask for the macro fetches and builds no swift-syntax.
test-macros: setup ## run the tests of @Cached, which is a package of its own
	@if swift package show-dependencies | grep -q swift-syntax; then echo "the package fetches swift-syntax" >&2; exit 1; fi
	swift test --package-path Macros $(NESTED)

cachectl: setup ## build the tool for operators
	swift build --package-path Cachectl --configuration release
	@echo "It is $$(swift build --package-path Cachectl --configuration release --show-bin-path)/cachectl."

test-cachectl: setup ## run the tests of the tool for operators
	swift test --package-path Cachectl $(NESTED)

# Packages beside this one build what they depend on in one folder, or each would build it again.
NESTED = --scratch-path $(CURDIR)/.build-nested

# The interleavings run on one thread, and so many schedules would take too long. The suites that start servers run two at a
# time, most of which they wait, and the busy ones alone: a sanitizer makes all of them together too slow for what they wait
# for.
test-races: setup ## run the tests under the thread sanitizer
	swift build --build-tests --sanitize=thread --scratch-path .build-tsan
	$(RACES) --skip 'InterleavingTests|IntegrationTests'
	$(call server-suites,$(RACES))

test-memory: setup ## run the tests under the address sanitizer
	swift build --build-tests --sanitize=address --scratch-path .build-asan
	$(MEMORY) --skip 'InterleavingTests|IntegrationTests'
	$(call server-suites,$(MEMORY))

# A sanitizer keeps memory of its own, so nothing can be said of what is left behind.
ALONE = HostileRelayTests ShieldUnderLoadTests StressTests
SERVER_SUITES = $(filter-out LeftoversTests $(ALONE),$(basename $(notdir $(wildcard Tests/IntegrationTests/*Tests.swift))))
server-suites = \
	printf '%s\n' $(SERVER_SUITES) | xargs -P 2 -I '{}' env $(1) --filter 'IntegrationTests.{}' && \
	printf '%s\n' $(ALONE) | xargs -I '{}' env $(1) --filter 'IntegrationTests.{}'
RACES = TSAN_OPTIONS=suppressions=$(CURDIR)/Tests/thread-sanitizer.suppressions \
	$(call built-tests,thread,.build-tsan)
# Tests leave waiting on purpose what is then reported as a leak.
MEMORY = ASAN_OPTIONS=detect_leaks=0 $(call built-tests,address,.build-asan)
# Where the tests are a program and no bundle, it begins a second and a half earlier by itself than by `swift test`.
ifeq ($(shell uname),Darwin)
built-tests = swift test --skip-build --sanitize=$(1) --scratch-path $(2)
else
built-tests = $(2)/debug/swift-cache-utilsPackageTests.xctest --testing-library swift-testing
endif

# A quick run finds out that everything works, and is too short to judge anything by.
QUICKLY = --seconds 0.2 --rounds 5 --expiries 5 --group 10000
# In the folder of the optimized tests, which need the same.
BUILD_BENCH = swift build --package-path Benchmarks --configuration release --scratch-path .build-release
BENCH = scripts/with-memcached .build-release/release/cache-bench run $(BENCH_OPTIONS) $(if $(QUICK),$(QUICKLY))

bench: setup ## measure beside the C library, in eight minutes; QUICK=1 in one
	$(BUILD_BENCH)
	@$(BENCH)

bench-peers: override BENCH_OPTIONS += --peers .build/bench/python/bin/python
bench-peers: setup ## the same with clients from the world of Python, in twelve minutes
	@Benchmarks/peers/setup .build/bench/python
	$(BUILD_BENCH)
	@$(BENCH)

verify: ## check the model of the key protocol, in three minutes; DEEP=1 for larger configurations
	@Verification/verify

# With a planted mistake it has to find something: make torture MISTAKE=fillWithoutToken
torture: setup ## many processes on real servers where everything goes wrong, 60 seconds; MINUTES=n for longer
	swift build --product torture
	@"$$(swift build --show-bin-path)/torture" $(if $(MINUTES),$$(( $(MINUTES) * 60 )),$(or $(SECONDS),60)) $(MISTAKE)

soak: setup ## constant load while servers fail, five minutes: what the process takes stays the same; MINUTES=n for longer
	swift build --product soak
	@"$$(swift build --show-bin-path)/soak" $$(( $(or $(MINUTES),5) * 60 )) .build/soak.svg

fuzz: setup ## look for bytes that break a property, a minute for each; SECONDS=n, PROPERTY=name for one of them
	@scripts/fuzz $(or $(SECONDS),60) $(PROPERTY)

api: setup ## write what the libraries declare in public to Verification/PublicSurface.txt
	@scripts/api

format: ## format the sources
	swift format --in-place --recursive --parallel $(SWIFT_SOURCES)

check-format: ## say what is not formatted
	swift format lint --strict --recursive --parallel $(SWIFT_SOURCES)

clean: ## remove what was built
	swift package clean
