"""Texts as they are kept, as they are searched, and as they are sorted; the same on every database.

Kept: NFC. Searched and sorted: without case and accents, whatever the script. Words are found by
any part of them, and by their stem: "dogs" finds "dog".
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import snowballstemmer

LANGUAGES = {
    "LATIN": ("english", "french", "german", "spanish"),
    "CYRILLIC": ("russian",),
    "GREEK": ("greek",),
    "ARABIC": ("arabic",),
    "ARMENIAN": ("armenian",),
    "DEVANAGARI": ("hindi",),
    "TAMIL": ("tamil",),
}
"""By whose rules a word may be stemmed, by its script; nobody says in which language a title is."""
MOST_WORDS = 10
"""Of one search; more of them are left out."""
_WORD = re.compile(r"[^\W\d_]+")
_STEM = "="
"""Begins a stem in what is searched."""
_SORT_BYTES = 200
_LIKE_LATIN = str.maketrans(
    {
        **{"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i"},
        **{"æ": "ae", "œ": "oe", "þ": "th", "’": "'", "‘": "'"},
    }
)


def nfc(text: str, most: int | None = None) -> str:
    """A text as it is kept, of `most` characters; some letters are more of them in NFC."""
    return unicodedata.normalize("NFC", text)[:most]


def fold(text: str) -> str:
    """A text without case, accents, and width: "ＣＡＦÉ" is "cafe", "Ёлка" is "елка"."""
    if text.isascii():
        return text.lower()
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    plain = "".join(char for char in parts if not _is_accent(char))
    return unicodedata.normalize("NFC", plain).translate(_LIKE_LATIN)


def _is_accent(char: str) -> bool:
    """Marks above and below, points of Hebrew and Arabic, and what is not seen at all.

    Marks that make another letter (of kana, of Indic scripts) or a vowel are none.
    """
    place = unicodedata.combining(char)
    return 10 <= place <= 36 or place >= 200 or unicodedata.category(char) == "Cf"


def sort_key(text: str) -> bytes:
    """What texts are sorted by: folded, without punctuation; bytes, as databases sort letters."""
    folded = fold(text)
    parts = (char if unicodedata.category(char)[0] not in "PSZC" else " " for char in folded)
    words = " ".join("".join(parts).split())
    return (words or folded).encode()[:_SORT_BYTES]


def searched_words(texts: Iterable[str]) -> str:
    """The texts as `word_forms` are looked for in them: folded, then the stems of their words."""
    together = "\n".join(texts)
    stems = {stem for word in _WORD.findall(nfc(together).lower()) for stem in _stems(word)}
    return f"{fold(together)} {''.join(f'{_STEM}{stem} ' for stem in sorted(stems))}"


def word_forms(text: str) -> list[list[str]]:
    """For each word of a search what is looked for; one of its forms has to be there."""
    words = nfc(text.replace("\x00", "")).split()[:MOST_WORDS]
    folded = [(word.lower(), fold(word)) for word in words]
    return [[plain, *_stem_forms(word, plain)] for word, plain in folded if plain]


def _stem_forms(word: str, plain: str) -> list[str]:
    """Stems as they are looked for, but those in which the word would be found anyhow."""
    stems = _stems(word) if _WORD.fullmatch(word) else ()
    return [f"{_STEM}{stem} " for stem in stems if plain not in stem]


@lru_cache(maxsize=50_000)
def _stems(word: str) -> tuple[str, ...]:
    """The folded stems of a word in lower case, by the rules of each language it may be of."""
    languages = LANGUAGES.get(unicodedata.name(word[0], "?").split()[0], ())
    # Made anew each time: a stemmer is for one thread.
    found = (snowballstemmer.stemmer(language).stemWord(word) for language in languages)
    return tuple(dict.fromkeys(fold(stem) for stem in found))
