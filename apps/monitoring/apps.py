"""Monitoring: long recordings watched for what the catalogue knows; above the search."""

from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "apps.monitoring"
    verbose_name = "Monitoring"
