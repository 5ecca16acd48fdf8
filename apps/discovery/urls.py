"""Addresses of the pages of duplicates."""

from django.urls import path

from apps.discovery import views

urlpatterns = [
    path("duplicates/", views.duplicates, name="duplicates"),
    path("duplicates/<int:pk>/keep/", views.keep, name="duplicates-keep"),
    path("duplicates/<int:pk>/dismiss/", views.dismiss, name="duplicates-dismiss"),
    path("duplicates/<int:pk>/undo/", views.undo, name="duplicates-undo"),
]
