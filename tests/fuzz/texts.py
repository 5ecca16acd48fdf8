"""Texts as nobody means them: other languages' syntax, control characters, directions, sizes."""

from hypothesis import strategies as st

from tests.index_contract import HOSTILE_TAGS

HTML = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)", "</title><h1>x", "</textarea><b>x", "<!--", "-->", "]]>", "<a",
    "&lt;b&gt;", "&#x3c;b&#x3e;", "javascript:alert(1)", "{{ 7*7 }}", "{% now 'Y' %}", "${7*7}",
    "<audio-player data-src='//evil.example'>", "\u2028<b>\u2029", "\x0b<i>\x0c", "<\x00b>",
)  # fmt: skip
SQL = (
    "'; DROP TABLE catalog_track; --", "' OR '1'='1", '" OR ""="', "%' AND 1=0 UNION SELECT 1--",
    "\\'; --", "LIKE '%'", "%_%", "%s", "%(x)s", "$1", "?", ";", "/*", "0x27",
)  # fmt: skip
DIRECTIONS = (
    "\u202egpj.exe", "\u202a\u202b\u202c\u202d\u202e", "\u2066a\u2067b\u2068c\u2069",
    "\u200f\u200e", "\ufeff", "שלום abc مرحبا", "a\u0300" * 20,
    "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L", "\U0001f468\u200d\U0001f469\u200d\U0001f467",
)  # fmt: skip
CONTROLS = (
    "\x00",
    "\x01\x02\x1b[31m",
    "\r\nSet-Cookie: a=b",
    "\x7f\x80\x9f",
    "\ud800",
    "\udfff\ud800",
)
EXPRESSION = (
    '"', "'", "\\", "\\\\", "[", "]", "(", ")", " or ", " and ", " not in ", "==", "!=", ">= 0",
    "%", "track_id", "tags", "like", "{", "}", "{ids}", "$meta", "json_contains(", "exists ", "//",
    ",", "1", "-1", "1e400", "true", "null", "\n", "\t",
)  # fmt: skip
TEMPLATES = (*HTML, *SQL, *DIRECTIONS, *CONTROLS, *HOSTILE_TAGS)


def any_text(max_size: int = 100) -> st.SearchStrategy[str]:
    """Any text at all: lone surrogates and NUL too, and each kind of syntax often."""
    return st.one_of(
        st.text(st.characters(codec=None), max_size=max_size),
        st.sampled_from(TEMPLATES),
        st.lists(st.sampled_from((*EXPRESSION, *HTML, *SQL, *CONTROLS)), max_size=12)
        .map("".join)
        .map(lambda text: text[:max_size]),
    )
