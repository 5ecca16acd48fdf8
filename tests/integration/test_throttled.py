"""All web servers count the same searches and log-ins: in Redis, or in PostgreSQL."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import RequestFactory

from apps.access.throttles import wait_before_search
from tests import servers


@pytest.mark.django_db
def test_redis_counts_and_may_die(settings: Any, django_assert_num_queries: Any) -> None:
    settings.SEARCHES_PER_MINUTE = 3
    request = RequestFactory().post("/")
    request.user = get_user_model().objects.create_user("ada")
    with servers.redis_server() as url:
        redis = {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": url,
            "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
        }
        settings.CACHES = {"default": redis, "limits": redis}
        with django_assert_num_queries(0):
            waits = [wait_before_search(request) for _ in range(4)]
        assert waits[:3] == [0, 0, 0]
        assert 0 < waits[3] <= 60
    assert wait_before_search(request) == 0


ASKED = """
import django; django.setup()
from django.conf import settings
from django.core.management import call_command
from django.contrib.auth.models import AnonymousUser
from django.test import Client, RequestFactory
from apps.access.throttles import wait_before_search
if not (settings.STATIC_ROOT / "staticfiles.json").exists():
    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
request = RequestFactory().post("/")
request.user = AnonymousUser()
print(*[wait_before_search(request) > 0 for _ in range(2)])
settings.ALLOWED_HOSTS = ["*"]
for address in ("198.51.100.1", "fe80::1%eth0", "no address"):
    visitor = Client(headers={"X-Forwarded-For": address})
    form = {"username": "\u0390" * 150, "password": "wrong"}
    print(*[visitor.post("/login/", form).status_code for _ in range(5)])
"""


@pytest.mark.exhaustive
def test_postgres_counts_for_all(own_database: str, tmp_path: Path) -> None:
    environment = {
        **{"DJANGO_SETTINGS_MODULE": "audiosearch.settings", "DATA_DIR": str(tmp_path)},
        **{"DATABASE_URL": own_database, "SEARCHES_PER_MINUTE": "3", "PROXIES": "1"},
    }
    said = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", ASKED],
            cwd=Path(__file__).parents[2],
            env=os.environ | environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.splitlines())
    first, second = said
    assert (first[0], second[0]) == ("False False", "False True")
    assert set(first[1:]) == {"200 200 200 200 200"}
    assert set(second[1:]) == {"200 200 200 200 429"}
