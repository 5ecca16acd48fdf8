"""Who asks an installation: by a token at the API, by a session at the pages."""

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

from tests.service import _multipart

TIMEOUT_S = 120


@dataclass
class Person:
    """Somebody with a name and a password, and maybe a token; nobody in particular without."""

    url: str
    name: str = ""
    password: str = ""
    token: str = ""
    _session: Any = field(default=None, repr=False)

    def ask(
        self, method: str, path: str, body: Any = None, file: Path | None = None
    ) -> tuple[int, Any]:
        """The API's answer: status and body."""
        headers = {"Authorization": f"Token {self.token}"} if self.token else {}
        data = None
        if file is not None:
            data, headers["Content-Type"] = _multipart(file, body or {})
        elif body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        status, answer = self._send(method, path, data, headers)
        return status, json.loads(answer or b"null")

    def fetch(self, path: str) -> tuple[int, bytes]:
        """The same for what is not JSON."""
        headers = {"Authorization": f"Token {self.token}"} if self.token else {}
        return self._send("GET", path, None, headers)

    def see(self, path: str) -> tuple[int, str]:
        """A page: status and HTML."""
        status, answer = self._send("GET", path, None, {}, self._logged_in())
        return status, answer.decode(errors="replace")

    def post(self, path: str, fields: dict[str, Any], **files: Path) -> str:
        """Send the form of a page; returns where it leads to."""
        opener = self._logged_in()
        return self._post(opener, path, fields, **files)

    def _logged_in(self) -> Any:
        if self._session is None:
            jar = urllib.request.HTTPCookieProcessor(CookieJar())
            self._session = urllib.request.build_opener(jar)
            if self.name:
                asked = {"username": self.name, "password": self.password}
                arrived = self._post(self._session, "/login/", asked)
                assert "/login/" not in arrived, f"{self.name} cannot log in"
        return self._session

    def _post(self, opener: Any, path: str, fields: dict[str, Any], **files: Path) -> str:
        form = path if path == "/login/" else "/"
        page = opener.open(self.url + form, timeout=TIMEOUT_S).read().decode()
        found = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', page)
        assert found, page
        fields = {"csrfmiddlewaretoken": found[1], **fields}
        if files:
            [(name, file)] = files.items()
            data, kind = _multipart(file, fields, name)
        else:
            data = urllib.parse.urlencode(fields).encode()
            kind = "application/x-www-form-urlencoded"
        headers = {"Content-Type": kind, "Referer": self.url + form}
        request = urllib.request.Request(self.url + path, data, headers, method="POST")
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            return str(answer.url.removeprefix(self.url))

    def _send(
        self,
        method: str,
        path: str,
        data: bytes | None,
        headers: dict[str, str],
        opener: Any = None,
    ) -> tuple[int, bytes]:
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with (opener or urllib.request.build_opener()).open(request, timeout=TIMEOUT_S) as got:
                return got.status, got.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
