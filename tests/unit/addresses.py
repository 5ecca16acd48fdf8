"""Every address of the service, read from its URL configuration."""

from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver


def routes() -> dict[str, set[str]]:
    """Name to the names of its parameters; those of an app with its namespace, "admin:index"."""
    found: dict[str, set[str]] = {}

    def walk(patterns: Any, prefix: str, parameters: set[str]) -> None:
        for pattern in patterns:
            taken = parameters | set(pattern.pattern.regex.groupindex)
            if isinstance(pattern, URLResolver):
                below = f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix
                walk(pattern.url_patterns, below, taken)
            elif isinstance(pattern, URLPattern) and pattern.name:
                found[prefix + pattern.name] = taken - {"format"}

    walk(get_resolver().url_patterns, "", set())
    return found
