"""Addresses of the analysis's pages."""

from django.urls import path

from apps.analysis import views

urlpatterns = [
    path("tracks/<int:pk>/relisten/", views.track_relisten, name="track-relisten"),
]
