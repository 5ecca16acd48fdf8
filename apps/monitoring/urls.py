"""Addresses of the monitoring's pages."""

from django.urls import path

from apps.monitoring import views

urlpatterns = [
    path("scans/", views.scans, name="scans"),
    path("scans/<uuid:pk>/", views.scan, name="scan"),
    path("scans/<uuid:pk>/forget/", views.forget, name="scan-forget"),
    path("scans/<uuid:pk>/play-log.<slug:kind>", views.download, name="scan-download"),
]
