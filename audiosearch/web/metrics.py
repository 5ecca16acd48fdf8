"""What this process counts for Prometheus: its requests, and the stages of its searches.

https://prometheus.io/docs/practices/naming/. The web server is one process; of several on several
machines each is asked for itself.
"""

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from prometheus_client import Counter, Histogram

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

requests_total = Counter("audiosearch_requests", "Requests answered", ["view", "method", "status"])
request_seconds = Histogram(
    "audiosearch_request_seconds", "Time to answer a request", ["view"], buckets=BUCKETS
)
search_seconds = Histogram(
    "audiosearch_search_seconds", "Time of a search by stage", ["stage"], buckets=BUCKETS
)


def count_requests(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: how many requests, how they ended, how long they took; by view, not address."""

    def middleware(request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = get_response(request)
        match = request.resolver_match
        view = match.view_name if match else "none"
        method = request.method if request.method in METHODS else "other"
        requests_total.labels(view, method, str(response.status_code)).inc()
        request_seconds.labels(view).observe(time.perf_counter() - began)
        return response

    return middleware
