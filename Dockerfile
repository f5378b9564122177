# The service on port 8000, with its database in the volume /data.
#   docker build -t segsort .                                 CPU
#   docker build -t segsort:slim --build-arg FLAVOUR=slim .   CPU without PyTorch: it serves, and cannot fit heads
#   docker build -t segsort:gpu --build-arg FLAVOUR=gpu .     CUDA 12, with the CUDA libraries of PyTorch's wheels
# To fix the base image to exact contents, give its digest: --build-arg BASE_IMAGE=python:3.11-slim-bookworm@sha256:...
ARG FLAVOUR=cpu
ARG BASE_IMAGE=python:3.11-slim-bookworm
FROM ${BASE_IMAGE} AS build
ARG FLAVOUR
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/segsort
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY requirements requirements

# PyTorch's CPU build comes first and alone, by its exact version: "+cpu" exists on PyTorch's own index only. It is the one
# package without a hash here, because that index may be replaced by a mirror (TORCH_INDEX). Without "+cpu", pip would take
# the CUDA build wherever the index does not answer.
RUN if [ "$FLAVOUR" = cpu ]; then \
      torch=$(sed -n 's/^cpu = \["\(torch==[^"]*\)".*/\1/p' pyproject.toml) && \
      /opt/segsort/bin/pip install --no-deps --retries 1 --timeout 10 --extra-index-url "$TORCH_INDEX" "$torch+cpu"; \
    fi
# Everything else comes from the lock files. pip refuses a file whose hash is not listed, and --no-deps any package that is
# not listed. Dependencies come before the sources, so that a change of the sources does not install them again.
RUN flavour=$(echo "$FLAVOUR" | sed s/slim/cpu/) && for lock in "$flavour" build; do \
      /opt/segsort/bin/pip install --require-hashes --no-deps --only-binary :all: -r "requirements/$lock.txt" || exit 1; \
    done
COPY segsort segsort
COPY model_store model_store
COPY index_builder index_builder
COPY service service
COPY command_line command_line
# The slim flavour lacks PyTorch and nothing else.
RUN /opt/segsort/bin/pip install --no-deps --no-build-isolation . && \
    { /opt/segsort/bin/pip check > /tmp/faults || \
      { [ "$FLAVOUR" = slim ] && ! grep -v '^segsort .* requires torch, which is not installed' /tmp/faults; } || \
      { cat /tmp/faults; exit 1; }; }
# Remove what nothing needs at run time: C++ headers, static libraries, the packages' own tests, PyTorch's compiler of models
# (torch.compile with Triton, SymPy and NetworkX), libraries and modules of its tests, a second copy of ONNX Runtime, and pip.
# PyTorch's optimisers ask the compiler to leave functions alone, and nothing else; two functions that do nothing take its place.
RUN cd /opt/segsort/lib/python3*/site-packages && \
    rm -rf torch/include torch/share torch/test torch/_inductor nvidia/*/include && \
    rm -f torch/lib/libtorchbind_test.so torch/lib/libjitbackend_test.so torch/lib/libbackend_with_compiler.so && \
    if [ "$FLAVOUR" != gpu ]; then rm -f onnxruntime/capi/libonnxruntime.so.*; fi && \
    if [ -d torch ]; then \
      rm -rf torch/_dynamo && mkdir torch/_dynamo && printf '%s\n' 'def disable(fn=None, recursive=True, **options):' \
        '    return fn if fn is not None else lambda function: function' 'def graph_break(message=""): pass' \
        > torch/_dynamo/__init__.py; \
    fi && \
    rm -rf torch/testing/_internal/opinfo torch/testing/_internal/distributed torch/testing/_internal/generated && \
    rm -f torch/testing/_internal/common_methods_invocations.py && \
    find . -path './torch/bin/*' -type f -not -name torch_shm_manager -delete && \
    find . -type d \( -name tests -o -name test \) -not -path './torch/*' -prune -exec rm -rf {} + && \
    find . \( -name '*.a' -o -name '*.pxd' -o -name '*.h' -o -name '*.hpp' \) -delete && \
    /opt/segsort/bin/pip uninstall --quiet --yes triton sympy mpmath networkx setuptools pip
# Remove symbol tables, a quarter of PyTorch's library, which only debuggers read. Libraries in *.libs folders were patched by
# those who packed them, and stay as they are. The imports, and a step of the optimiser, prove that the rest still works:
# PyTorch cannot be imported without torch_shm_manager, for example.
RUN apt-get update -qq && apt-get install -qq --no-install-recommends binutils > /dev/null && \
    find /opt/segsort/lib -name '*.so' -size +1M -not -path '*.libs/*' -not -path '*/nvidia/*' \
      -exec strip --strip-unneeded {} + && \
    /opt/segsort/bin/python -c "import cc3d, faiss, onnxruntime, scipy.special, skimage.measure, service.server" && \
    if [ "$FLAVOUR" != slim ]; then /opt/segsort/bin/python -c "import index_builder.adapt, torch; \
      rate = torch.nn.Parameter(torch.ones(2)); step = torch.optim.Adam([rate]); rate.sum().backward(); step.step(); \
      torch.optim.lr_scheduler.OneCycleLR(step, max_lr=0.1, total_steps=9).step(); assert float(rate.detach().max()) < 1"; fi
# Compile the loops for this machine's processor, so that a container starts without compiling. On another kind of processor
# the first start compiles them again, and keeps them in /data/.cache. The engine's start proves that they can be used.
RUN cd /tmp && /opt/segsort/bin/python -m segsort.loops.compiling && SEGSORT_DATA_DIR=/tmp/data /opt/segsort/bin/python -c \
      "from service.answering.engine import Engine; from service.settings import load_settings; Engine(load_settings()).close()" && \
    rm -r /tmp/data

# An image for GPUs requires one: if it finds none, it says so and exits.
FROM ${BASE_IMAGE} AS base-cpu
ENV SEGSORT_DEVICE=cpu
FROM ${BASE_IMAGE} AS base-slim
ENV SEGSORT_DEVICE=cpu
FROM ${BASE_IMAGE} AS base-gpu
ENV SEGSORT_DEVICE=cuda

FROM base-${FLAVOUR}
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin segsort && \
    install --directory --owner=segsort --group=segsort /data
COPY --from=build /opt/segsort /opt/segsort
# SEGSORT_OPEN: the published port decides who can reach the service. If keys are set, requests need a key nevertheless.
ENV PATH=/opt/segsort/bin:$PATH PYTHONUNBUFFERED=1 SEGSORT_DATA_DIR=/data SEGSORT_OPEN=true
USER segsort
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["segsort"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
