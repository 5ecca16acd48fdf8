# The image of web, worker and beat. It needs nothing writable but /data and /tmp.
FROM python:3.11-slim AS build
RUN python -m venv /venv
WORKDIR /build
COPY requirements*.txt ./
# What exports and trains models and draws plots stays out, unless it is asked for by its names:
# docker compose build --build-arg EXTRAS="torch plots"
ARG EXTRAS=
RUN /venv/bin/pip install --no-cache-dir -r requirements.txt \
    && /venv/bin/pip install --no-cache-dir --no-deps -r requirements-bare.txt \
    && for extra in $EXTRAS; do \
        /venv/bin/pip install --no-cache-dir -r "requirements-$extra.txt" || exit 1; done

FROM python:3.11-slim
RUN useradd --uid 10001 audiosearch && mkdir -m 700 /data && chown audiosearch /data
COPY --from=build /venv /venv
WORKDIR /app
COPY . .
ENV PATH=/venv/bin:$PATH DATA_DIR=/data HOST=0.0.0.0 PORT=8000 HOME=/tmp MPLCONFIGDIR=/tmp NUMBA_CACHE_DIR=/tmp \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
VOLUME /data
EXPOSE 8000
CMD ["python", "-m", "granian", "--interface", "asginl", "--http", "1", "--no-ws", "--http1-header-read-timeout", "10000", "--host", "0.0.0.0", "--port", "8000", "audiosearch.asgi:application"]
