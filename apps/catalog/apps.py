"""The catalogue: what we hold, and the life of a recording."""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "apps.catalog"
    verbose_name = "Catalogue"
