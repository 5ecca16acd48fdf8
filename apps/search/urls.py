"""Addresses of the search's pages."""

from django.urls import path

from apps.search import excerpt, result_views, stretches, views

urlpatterns = [
    path("", views.search, name="search"),
    path("excerpt/", excerpt.excerpt, name="search-excerpt"),
    path("searches/<uuid:pk>/", result_views.result, name="search-result"),
    path("searches/<uuid:pk>/answers/<slug:name>/", result_views.answer, name="search-answer"),
    path("searches/<uuid:pk>/add/", result_views.add, name="search-add"),
    path("searches/<uuid:pk>/clip/", result_views.clip, name="search-clip"),
    path("searches/<uuid:pk>/forget/", result_views.forget, name="search-forget"),
    path("tracks/<int:pk>/similar/", views.similar, name="track-similar"),
    path("tracks/<int:pk>/stretch/", stretches.stretch, name="track-stretch"),
]
