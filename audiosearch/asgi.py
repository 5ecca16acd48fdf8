"""The ASGI entry point, which `serve` and the image run: Django behind what takes bodies in."""

from importlib import import_module

from audiosearch import wsgi  # first, as it loads the applications

application = import_module("audiosearch.web.front").Front(wsgi.application)
