"""All addresses of the service."""

from django.contrib import admin
from django.urls import include, path, reverse_lazy

from apps.ops.api import MetricsView

admin.site.site_url = reverse_lazy("search")  # type: ignore[assignment]
urlpatterns = [
    path("", include("apps.access.urls")),
    path("", include("apps.search.urls")),
    path("", include("apps.catalog.urls")),
    path("", include("apps.analysis.urls")),
    path("", include("apps.voices.urls")),
    path("", include("apps.monitoring.urls")),
    path("", include("apps.discovery.urls")),
    path("metrics", MetricsView.as_view(), name="metrics"),
    path("admin/", admin.site.urls),
    path("api/", include("audiosearch.api_urls")),
]
handler400 = "audiosearch.web.errors.bad_request"
handler500 = "audiosearch.web.errors.server_error"
