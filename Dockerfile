# The service on port 8000, with its database in the volume /data.
#   docker build -t segsort .                            CPU
#   docker build -t segsort:gpu --build-arg FLAVOUR=gpu .   CUDA 12, by the libraries that PyTorch's wheels bring
ARG FLAVOUR=cpu
FROM python:3.11-slim-bookworm AS build
ARG FLAVOUR
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/segsort
COPY pyproject.toml README.md LICENSE NOTICE ./

# The CPU build of PyTorch first and alone: if its index does not answer, pip warns and looks where it is configured to.
RUN if [ "$FLAVOUR" = cpu ]; then \
      torch=$(sed -n 's/^cpu = \["\(torch==[^"]*\)".*/\1/p' pyproject.toml) && \
      /opt/segsort/bin/pip install --no-deps --retries 1 --timeout 10 --extra-index-url "$TORCH_INDEX" "$torch"; \
    fi
# Dependencies before sources, so that a change of the sources does not install them anew. What was built of the empty package
# goes: it is newer than the sources, and setuptools would take it for them.
RUN mkdir segsort && touch segsort/__init__.py && /opt/segsort/bin/pip install ".[$FLAVOUR]" && rm -r build segsort *.egg-info
COPY segsort segsort
COPY model_store model_store
COPY index_builder index_builder
COPY service service
COPY command_line command_line
RUN /opt/segsort/bin/pip install --no-deps --force-reinstall .
# What nothing needs at run time: C++ headers and static libraries, the packages' own tests, what PyTorch has to compile
# models (torch.compile: its own part, Triton, SymPy, NetworkX), and pip itself. The imports show that no more than that has
# gone (PyTorch refuses to be imported without torch_shm_manager, for one).
RUN cd /opt/segsort/lib/python3*/site-packages && \
    rm -rf torch/include torch/share torch/test torch/_inductor nvidia/*/include && \
    find torch/bin -type f -not -name torch_shm_manager -delete && \
    find . -type d \( -name tests -o -name test \) -not -path './torch/*' -prune -exec rm -rf {} + && \
    find . -name '*.a' -delete && \
    /opt/segsort/bin/pip uninstall --quiet --yes triton sympy mpmath networkx setuptools pip && \
    /opt/segsort/bin/python -c "import cc3d, faiss, onnxruntime, scipy.special, skimage.measure, torch, service.server"
# The loops compiled for this machine's processor, so that a container is ready at once. On another kind of processor the first
# start compiles them for that one, and keeps them in /data/.cache.
RUN cd /tmp && SEGSORT_DATA_DIR=/tmp/data /opt/segsort/bin/python -c \
      "from service.answering.engine import Engine; from service.settings import load_settings; Engine(load_settings()).close()" && \
    rm -r /tmp/data

# An image for GPUs asks for one: where it sees none, it says so and ends.
FROM python:3.11-slim-bookworm AS base-cpu
ENV SEGSORT_DEVICE=cpu
FROM python:3.11-slim-bookworm AS base-gpu
ENV SEGSORT_DEVICE=cuda

FROM base-${FLAVOUR}
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin segsort && \
    install --directory --owner=segsort --group=segsort /data
COPY --from=build /opt/segsort /opt/segsort
# SEGSORT_OPEN: here the published port decides who reaches the service. Where keys are set, they are asked for all the same.
ENV PATH=/opt/segsort/bin:$PATH PYTHONUNBUFFERED=1 SEGSORT_DATA_DIR=/data SEGSORT_OPEN=true
USER segsort
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["segsort"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
