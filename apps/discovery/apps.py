"""Discovery: what recordings have to do with each other."""

from django.apps import AppConfig


class DiscoveryConfig(AppConfig):
    name = "apps.discovery"
