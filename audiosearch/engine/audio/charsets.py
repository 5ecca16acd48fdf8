"""Bytes of an untold encoding -> text that can be read, or none; for tags, and names in zip files.

Old taggers and packers wrote in the code page of their machine and did not say which. Each encoding
that may be meant explains the bytes as text of a language, and what it says is priced in bits:
common letters are cheap; rare ones, symbols inside of words and words of two scripts are dear. The
cheapest explanation is believed if it leads by a margin, and if it is cheaper than "these bytes are
random". Detectors made for documents fail on the few bytes of a title; the frequencies of letters
are charset-normalizer's.
"""

import codecs
import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from charset_normalizer.constant import FREQUENCIES

MARGIN_BITS = 6
"""By so much the best explanation has to lead."""
OVERTURN_BITS = 9
"""By so much another one has to beat the encoding that a format prescribes."""
NOISE_BITS, NOISE_PRIOR_BITS = 7, 6
"""What a byte beyond ASCII costs if it is random, and how unlikely that is in the first place."""
ASCII_BITS = 5
DOUBT_BITS = 12
"""By so much, when it is not clear by which other one."""
CUT_BITS = 8
"""A character that is cut off at the end, as in the 30 bytes of an ID3v1 field."""
SAMPLE_BYTES = 4_000
"""So much of all texts is looked at; all of them are decoded."""


def readable(texts: Sequence[bytes], *, own: str) -> list[str]:
    """Each of `texts`, which have one origin, decoded; "" where it cannot be told how.

    own: the encoding that the format prescribes, believed unless it makes no sense. What is UTF-8
    is taken for that.
    """
    found = [_text(text, "utf-8") for text in texts]
    legacy = [text for text, done in zip(texts, found, strict=True) if done is None]
    encoding = _encoding_of(legacy, own)
    return [
        done if done is not None else _text(text, encoding) or ""
        for text, done in zip(texts, found, strict=True)
    ]


def unwrapped(text: bytes) -> bytes:
    """The bytes that somebody took for Latin-1 (or CP1252) and made this UTF-8 of, or the same."""
    try:
        return b"".join(
            char.encode("latin-1" if ord(char) < 256 else "cp1252") for char in text.decode()
        )
    except UnicodeError:
        return text


def _text(text: bytes, encoding: str | None) -> str | None:
    """The text, whole but for its end, or None when it is not in this encoding."""
    try:
        return _decoded(text, encoding)[0] if encoding else None
    except UnicodeError:
        return None


def _decoded(text: bytes, encoding: str) -> tuple[str, bool]:
    """The text, and whether a character at its end was cut off. Raises UnicodeError."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    found = decoder.decode(text, final=False)
    cut = bool(decoder.getstate()[0])
    if cut and found.isascii():  # nothing but a byte beyond ASCII at the end, as in "Café"
        decoder.decode(b"", final=True)
    return found, cut


def _encoding_of(texts: Sequence[bytes], own: str) -> str | None:
    """The encoding that explains all of these texts best, or None when none does well."""
    if not texts:
        return None
    sample = _sample(texts)
    noise = NOISE_PRIOR_BITS + sum(
        NOISE_BITS if byte > 127 else ASCII_BITS for text in sample for byte in text
    )
    ranked: list[tuple[float, str, list[str]]] = []
    own_bits = math.inf
    for encoding, priced in _EXPLANATIONS.items():
        if (price := _price(sample, encoding, priced)) is None:
            continue
        bits, words = price
        if encoding == own:
            own_bits = bits - priced.prior_bits
        else:
            ranked.append((bits, encoding, words))
    best, encoding, words = min(ranked, default=(math.inf, own, [""]))
    rival = min((bits for bits, _, others in ranked if others != words), default=math.inf)
    believed = best < noise and best + MARGIN_BITS <= rival
    if own_bits <= min(best, noise) + (OVERTURN_BITS if believed else DOUBT_BITS):
        return own
    return encoding if believed else None


def _sample(texts: Sequence[bytes]) -> list[bytes]:
    """The first texts, the last of them cut off, until they are enough."""
    left, sample = SAMPLE_BYTES, []
    for text in texts:
        sample.append(text[:left])
        left -= len(text)
        if left <= 0:
            break
    return sample


@dataclass(frozen=True)
class _Explanation:
    """Languages that are written in an encoding, and how unlikely it is in the first place."""

    languages: tuple[str, ...]
    prior_bits: float = 3


_WESTERN = ("French", "German", "Spanish", "Portuguese", "Swedish", "Danish", "Italian")
_CYRILLIC = ("Russian", "Ukrainian", "Bulgarian")
_CENTRAL = ("Polish", "Czech", "Hungarian", "Romanian", "Croatian")
_EXPLANATIONS = {
    "cp1252": _Explanation(_WESTERN, 0),
    "cp437": _Explanation(_WESTERN, 6),
    "cp850": _Explanation(_WESTERN, 7),
    "mac_roman": _Explanation(_WESTERN, 7),
    "cp1250": _Explanation(_CENTRAL),
    "cp852": _Explanation(_CENTRAL, 8),
    "cp1254": _Explanation(("Turkish",)),
    "cp1251": _Explanation(_CYRILLIC, 1),
    "cp866": _Explanation(_CYRILLIC, 3),
    "koi8_r": _Explanation(_CYRILLIC, 5),
    "cp1253": _Explanation(("Greek",)),
    "cp1255": _Explanation(("Hebrew",)),
    "cp1256": _Explanation(("Arabic", "Farsi")),
    "cp874": _Explanation(("Thai",)),
    "gb18030": _Explanation(("Chinese",), 1),
    "big5": _Explanation(("Chinese, traditional",)),
    "cp932": _Explanation(("Japanese",), 1),
    "euc_jp": _Explanation(("Japanese",), 6),
    "cp949": _Explanation(("Korean",), 2),
}


def _price(
    texts: Sequence[bytes], encoding: str, priced: _Explanation
) -> tuple[float, list[str]] | None:
    """Bits of the language that explains the texts best, and what they would say."""
    try:
        decoded = [_decoded(text, encoding) for text in texts]
    except UnicodeError:
        return None
    words = [text for text, _ in decoded]
    bits = min(sum(_bits(text, language) for text in words) for language in priced.languages)
    return bits + priced.prior_bits + CUT_BITS * sum(cut for _, cut in decoded), words


def _bits(text: str, language: str) -> float:
    bits, before = 0.0, " "
    for char in text:
        bits += _char_bits(char, language) + _joint_bits(before, char)
        before = char
    return bits


@lru_cache(maxsize=10_000)
def _joint_bits(before: str, char: str) -> float:
    """What it costs that one character follows another inside of a word."""
    if not (before.isalpha() and char.isalpha()):
        if before.isalpha() and char in "‚„“«¿¡":
            return 6
        symbols = {unicodedata.category(each)[0] for each in (before, char)} & set("SN")
        beyond = not (before.isascii() and char.isascii())
        return 4 if beyond and symbols and (before.isalpha() or char.isalpha()) else 0
    scripts = {_script(before), _script(char)}
    if len(scripts) > 1:
        return 3 if "EAST" in scripts else 9
    if before.isascii() and char.isascii():
        return 0
    if before.islower() and char.isupper():
        return 6
    both_accented = scripts == {"LATIN"} and not before.isascii() and not char.isascii()
    return 3 if both_accented else -1 if before.isupper() and char.isupper() else 0


@lru_cache(maxsize=10_000)
def _script(char: str) -> str:
    script = unicodedata.name(char, "?").split()[0]
    eastern = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "KATAKANA-HIRAGANA", "HALFWIDTH")
    return "EAST" if script in eastern else script


@lru_cache(maxsize=50_000)
def _char_bits(char: str, language: str) -> float:
    if char.isascii():
        return ASCII_BITS if char.isprintable() or char in "\t\r\n" else 30
    if unicodedata.category(char) in ("Cc", "Cn", "Co", "Cs"):
        return 40
    special = _EASTERN.get(language)
    if special is None:
        ranks = _ranks(language)
        lower = char.lower()
        if lower in ranks:
            return 2 + math.log2(ranks[lower] + 2) + (1 if char != lower else 0)
        if not char.isalpha() and unicodedata.category(char) != "Mn":
            return 8 if char in _TYPOGRAPHIC else 12
        return 8 if _script(char) == _script(next(iter(ranks))) else 12
    return special(char)


_TYPOGRAPHIC = frozenset("‘’“”„«»–—…·°©®№\xa0")


@cache
def _ranks(language: str) -> dict[str, int]:
    return {char: rank for rank, char in enumerate(FREQUENCIES[language])}


def _chinese(char: str) -> float:
    """GB 2312 has the 3755 common characters first."""
    return _east_bits(char, "Chinese", "gb2312", 0xB0, 0xD7)


def _traditional(char: str) -> float:
    """Big5 has the 5401 common characters first."""
    return _east_bits(char, "Chinese", "big5", 0xA4, 0xC6)


def _east_bits(char: str, language: str, codec: str, first: int, last: int) -> float:
    if char in _ranks(language):
        return 8
    if not char.isalpha():
        return 12
    try:
        lead = char.encode(codec)[0]
    except UnicodeEncodeError:
        return 22
    return 12.5 if first <= lead <= last else 16.5


def _japanese(char: str) -> float:
    """Kana are common; JIS X 0208 has the 2965 common kanji first."""
    if "ｦ" <= char <= "ﾟ":
        return 13
    for kana, more in (("Japanese——", 0.5), ("Japanese—", 1.5)):
        if char in _ranks(kana):
            return 3 + more + math.log2(_ranks(kana)[char] + 2)
    return _east_bits(char, "Japanese", "shift_jis", 0x88, 0x97)


# Jamo by frequency, as Unicode counts them in a syllable.
_INITIALS = (11, 0, 9, 3, 12, 2, 5, 18, 6, 7, 14, 16, 15, 17, 1, 4, 10, 8, 13)
_VOWELS = (0, 20, 8, 18, 4, 13, 6, 1, 5, 11, 12, 17, 2, 7, 14, 9, 16, 10, 19, 15, 3)
_FINALS = (0, 4, 8, 21, 16, 1, 17, 20, 19, 7, 22)


def _korean(char: str) -> float:
    if "가" <= char <= "힣":
        initial, rest = divmod(ord(char) - ord("가"), 21 * 28)
        vowel, final = divmod(rest, 28)
        rank = _FINALS.index(final) if final in _FINALS else 20
        bits = math.log2(_INITIALS.index(initial) + 1) + math.log2(_VOWELS.index(vowel) + 1)
        return 3.6 + bits + (1 if final == 0 else 2 + math.log2(rank + 1))
    return 17 if char.isalpha() else 12


_EASTERN: dict[str, Callable[[str], float]] = {
    "Chinese": _chinese,
    "Chinese, traditional": _traditional,
    "Japanese": _japanese,
    "Korean": _korean,
}
