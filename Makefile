# SPDX-License-Identifier: Apache-2.0
# `make run` and `make test` do everything, from installing packages on; the build itself is meson's.
BUILD := build
MODELS ?= det_500m scrfd_2.5g_bnkps mobilefacenet
PYTHON ?= .venv/bin/python
VULTUS_TEST_DATA ?= $(CURDIR)/../shared
export VULTUS_TEST_DATA
# Every folder's build shares objects through ccache where that is installed.
export CCACHE_NOHASHDIR := 1

.PHONY: all run serve test cuda fuzz slow-clients bench bench-serve soak clean setup

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)
	ln -sfn tools/vultus $(BUILD)/vultus

$(BUILD)/build.ninja:
	meson setup $(BUILD) $(BUILD_OPTIONS)

run:
	scripts/setup.sh build
	$(MAKE) all
	scripts/run.sh $(PHOTOS)

# Prints how to try it once it serves. make serve FLAGS="--port 8080 --images-root ."
serve:
	scripts/setup.sh build
	$(MAKE) all
	VULTUS_BUILD=$(BUILD) scripts/serve.sh $(FLAGS)

# make test STAGES="default style" runs only those; VULTUS_TEST_FULL=1 leaves nothing out. Of GPUs the kernels are compiled for the
# oldest and the newest here, and for all by `make cuda`.
test:
	scripts/setup.sh tools
	scripts/setup.sh tests & downloads=$$!; \
	scripts/setup.sh cuda || echo "make: without nvcc the CUDA kernels are tested on the emulated GPU only"; \
	$(MAKE) all BUILD_OPTIONS="-Dnvcc_archs=75,90"; built=$$?; wait $$downloads && exit $$built
	scripts/test.sh $(STAGES)

# The command, and its module of CUDA kernels for every GPU that it supports.
cuda:
	scripts/setup.sh build cuda
	[ -f build-cuda/build.ninja ] || meson setup build-cuda -Dnvcc=enabled
	ninja -C build-cuda tools/vultus src/backend/cuda/module/libvultus_cuda.so

# Fuzzes each target for SECONDS with libFuzzer, from the corpus of the tests.
SECONDS_EACH ?= 60
fuzz:
	scripts/setup.sh tests
	scripts/fuzz.sh $(SECONDS_EACH)

# The server beside ten thousand clients that send next to nothing.
slow-clients: all
	VULTUS_SLOW_CONNECTIONS=10000 $(PYTHON) -m pytest -q tests/server/test_hostile.py -k slow_connections

bench: all
	for model in $(MODELS); do echo "$$model"; $(BUILD)/vultus bench $(VULTUS_TEST_DATA)/models/$$model.onnx --batch 1,8; done

# `vultus serve` beside FastAPI and uvicorn; make bench-serve FLAGS=--quick takes a minute or two.
bench-serve: all
	scripts/setup.sh tests
	$(PYTHON) bench/serve.py --build $(BUILD) $(FLAGS)

# Half an hour of mixed load; the memory's course goes to build/soak.svg.
MINUTES ?= 30
soak: all
	scripts/setup.sh tests
	$(PYTHON) bench/soak.py --build $(BUILD) --minutes $(MINUTES) --plot $(BUILD)/soak.svg

clean:
	rm -rf build build-*
