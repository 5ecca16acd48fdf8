"""With Redis, all web servers count the same searches; without it, nobody is turned away."""

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
