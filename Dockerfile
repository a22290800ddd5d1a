# pychat in a container that runs as nobody in particular and needs to write only to /var/lib/pychat and /tmp.
#
# The base images are pinned by version. Their digests are not: they could not be looked up where this was written.
# `docker buildx imagetools inspect IMAGE` shows one; add it as IMAGE@sha256:... to have the very same bytes each time.

FROM rust:1.95.0-slim-bookworm AS build
# Debian's own Python: the extension that it builds works with every Python from 3.11 on.
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY constraints.txt ./
RUN python3 -m venv /build \
    && /build/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt maturin
COPY Cargo.toml Cargo.lock pyproject.toml README.md LICENSE ./
COPY rust rust
# Cargo wants to see all that its manifest names, built or not.
COPY benches benches
COPY loadtest/driver loadtest/driver
COPY pychat pychat
RUN /build/bin/maturin build --release --locked --out /wheels --interpreter python3

FROM python:3.11.13-slim-bookworm
COPY --from=build /wheels /wheels
COPY constraints.txt /wheels/
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
        -c /wheels/constraints.txt /wheels/*.whl \
    && python -m compileall -q /usr/local/lib/python3.11/site-packages/pychat \
    && rm -rf /wheels \
    && pip uninstall --yes --quiet --root-user-action=ignore pip \
    && useradd --system --uid 10001 --home-dir /var/lib/pychat --shell /usr/sbin/nologin pychat \
    && install -d -o pychat -g pychat -m 700 /var/lib/pychat /backups
COPY configs/dynamic_config.json /etc/pychat/
COPY --chmod=755 scripts/healthy /usr/local/bin/healthy

USER pychat
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYCHAT_DATABASE__DATA_DIR=/var/lib/pychat \
    PYCHAT_DYNAMIC_CONFIG__FALLBACK=/etc/pychat/dynamic_config.json \
    PYCHAT_HTTP__LISTEN=0.0.0.0:8080
VOLUME /var/lib/pychat
EXPOSE 8080
# The first start makes a database, where none is given.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["healthy"]
STOPSIGNAL SIGTERM
CMD ["pychat", "serve"]
