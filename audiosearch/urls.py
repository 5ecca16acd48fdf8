"""All addresses of the service."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path
from django.views.generic import RedirectView

from apps.ops.api import MetricsView

urlpatterns = [
    path("", include("apps.search.urls")),
    path("", include("apps.catalog.urls")),
    path("", include("apps.analysis.urls")),
    path("", include("apps.voices.urls")),
    path("login/", auth.LoginView.as_view(template_name="login.html"), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("metrics", MetricsView.as_view(), name="metrics"),
    path("admin/login/", RedirectView.as_view(pattern_name="login", query_string=True)),
    path("admin/", admin.site.urls),
    path("api/", include("audiosearch.api_urls")),
]
handler400 = "audiosearch.web.errors.bad_request"
handler500 = "audiosearch.web.errors.server_error"
