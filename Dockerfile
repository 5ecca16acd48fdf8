FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt requirements-bare.txt ./
RUN pip install --no-cache-dir -r requirements.txt && pip install --no-cache-dir --no-deps -r requirements-bare.txt
COPY . .
ENV DATA_DIR=/data HOST=0.0.0.0 PORT=8000 PYTHONUNBUFFERED=1
RUN useradd --uid 10001 audiosearch && mkdir /data && chown audiosearch /data
USER audiosearch
VOLUME /data
EXPOSE 8000
CMD ["python", "-m", "granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--blocking-threads", "16", "audiosearch.wsgi:application"]
