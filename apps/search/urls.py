"""Addresses of the search's pages."""

from django.urls import path

from apps.search import views

urlpatterns = [
    path("", views.search, name="search"),
    path("searches/<uuid:pk>/", views.result, name="search-result"),
    path("searches/<uuid:pk>/clip/", views.clip, name="search-clip"),
    path("searches/<uuid:pk>/forget/", views.forget, name="search-forget"),
    path("tracks/<int:pk>/similar/", views.similar, name="track-similar"),
]
