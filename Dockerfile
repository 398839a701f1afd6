# docker build -t kipoi-deepmr .
# docker run --rm -v "$PWD":/data --user "$(id -u):$(id -g)" kipoi-deepmr check model/1 model/2
FROM python:3.12-slim-bookworm

# Debian's bedtools is as good in any of its versions
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends bedtools \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /source
COPY . .
# the source itself, of which there is one version here
# hadolint ignore=DL3013
RUN pip install --no-cache-dir '.[tensorflow,dask,parquet,tracks]' \
    && useradd --uid 1000 --create-home deepmr

# caches of numba and matplotlib, also for `docker run --user`
ENV HOME=/tmp
USER 1000
WORKDIR /data
ENTRYPOINT ["kipoi-deepmr"]
CMD ["--help"]
