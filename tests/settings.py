"""Settings of the tests: no servers, a throw-away folder, the exact twin and the fake encoder."""

import os
import tempfile

os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="audiosearch-tests-")

from audiosearch.settings import *  # noqa: F403
from audiosearch.settings import ANALYSES, DATABASES, STORAGES

MILVUS_URI = "memory:"
WARM_UP = False
SEARCHES_PER_MINUTE = 0
ANALYSES = ANALYSES | {"embedding": ("fake",)}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = STORAGES | {"staticfiles": {"BACKEND": "tests.static_files.PlainStaticFiles"}}
DATABASES["default"]["TEST"] = {"NAME": os.environ["DATA_DIR"] + "/test.sqlite3"}
# Nothing of a test outlives it, so nothing needs to reach the disk.
DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
