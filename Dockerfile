# leadup as a service: `docker run --volume leadup:/data leadup` runs the daemon on /data/leadup.toml and /data/rules.

FROM python:3.11-slim AS build
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
COPY connectors connectors
COPY rules rules
RUN python -m venv /opt/leadup \
 && pip wheel --no-cache-dir --no-deps --wheel-dir dist . \
 && /opt/leadup/bin/pip install --no-cache-dir --constraint constraints.txt "$(echo dist/leadup-*.whl)[all]"

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home leadup \
 && install --directory --owner leadup --group leadup /data
COPY --from=build /opt/leadup /opt/leadup
ENV PATH=/opt/leadup/bin:$PATH
USER leadup
WORKDIR /data
VOLUME /data
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["leadup", "status", "--health"]
ENTRYPOINT ["leadup"]
CMD ["run"]
