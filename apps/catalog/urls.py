"""Addresses of the catalogue's pages."""

from django.urls import path

from apps.catalog import views

urlpatterns = [
    path("library/", views.library, name="library"),
    path("library/states/", views.library_states, name="library-states"),
    path("library/bulk/", views.library_bulk, name="library-bulk"),
    path("add/", views.add, name="add"),
    path("tracks/<int:pk>/", views.track, name="track"),
    path("tracks/<int:pk>/delete/", views.track_delete, name="track-delete"),
]
