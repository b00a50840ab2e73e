"""Texts that programs stumble over, by name: what any client may write and any model may answer."""

from __future__ import annotations

import unicodedata


def _planes() -> dict[str, str]:
    """The first and last characters that may stand in each plane of Unicode."""
    found = {}
    for plane in range(17):
        first, last = plane << 16 | 0x0021, plane << 16 | 0xFFFD
        found[f"plane {plane}"] = f"a{chr(first)}{chr(last)}b"
        found[f"what plane {plane} has no character for"] = f"a{chr(plane << 16 | 0xFFFE)}b"
    return found


TEXTS: dict[str, str] = {
    **_planes(),
    "control characters": "".join(map(chr, range(1, 32))) + "\x7f",
    "the other control characters": "".join(map(chr, range(0x80, 0xA0))),
    "line breaks of every kind": "a\nb\rc\r\nd\x0be\x0cf\x85g\u2028h\u2029i",
    "an event in an event": 'a\n\ndata: [DONE]\n\nevent: error\ndata: {"error":1}\n\n: b',
    "an object in an object": '"}]}\n{"done":true}\n\\"',
    "backslashes": "\\" * 63 + "\\u0041\\n\\x",
    "quotes": "\"'`«»\u201c\u201d" * 9,
    "direction changed": "a\u202eb\u202dc\u2066d\u2067e\u2069f\u200fg\u061ch",
    "nothing to be seen": "\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e",
    "a mark of byte order": "\ufeffa\ufffeb",
    "replacement characters": "\ufffd" * 40,
    "marks on marks": "e" + "\u0301\u0327\u20dd" * 20,
    "marks on nothing": "\u0301\u0489",
    "families": "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466" * 9,
    "flags": "\U0001f1f3\U0001f1f4" * 20,
    "half a flag": "\U0001f1f3",
    "skin": "\U0001f44b\U0001f3ff" * 9,
    "tags": "\U000e0041\U000e0042\U000e007f",
    "variants": "a\ufe0fb\U000e0100c",
    "private use": "\ue000\uf8ff\U000f0000\U0010fffd",
    "Hangul in parts": unicodedata.normalize("NFD", "한국어") * 9,
    "composed": unicodedata.normalize("NFC", "Å ﬁ ① ½"),
    "decomposed": unicodedata.normalize("NFD", "Å ﬁ ① ½"),
    "a Turkish i": "İıIi",
    "a ligature": "\ufdfa" * 30,
    "Zalgo": "Z" + "".join(chr(0x300 + n) for n in range(40)),
    "Arabic": "بسم الله الرحمن الرحيم",
    "Hebrew and Latin": "אבג abc 123 דהו",
    "Devanagari": "क्षत्रिय",
    "Thai": "กี่ กั้น",
    "Cuneiform": "\U00012000\U00012399",
    "mathematics": "\U0001d400\U0001d7ff",
    "one letter": "a" * 400,
    "one space": " " * 200 + "a",
    "tabs": "\t" * 100 + "a",
    "brackets": "[{(<" * 50,
    "a template": "{{ 7*7 }}{% raw %}{#x#}",
    "a tag of thought": "</think><think>",
    "zeros": "0" * 200,
    "a number": "1e999999 -0 NaN Infinity 0x41",
    "formats": "%s%n%d{0}{x!r}${PATH}$(id)`id`",
    "an address": "http://[::1]:0/../..%2f%00?a=b#c",
    "a script": "<script>alert(1)</script><!--]]>",
    "a quoted query": "'; DROP TABLE requests; --",
    "colours": "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "backspaces": "abc\b\b\bxyz",
}
"""Each is to arrive as it is."""

REFUSED: dict[str, str] = {
    "half of a pair": '"a\\ud83dz"',
    "the other half": '"a\\ude00z"',
    "a pair the wrong way round": '"\\ude00\\ud83d"',
    "a half at the end": '"a\\ud800"',
    "an escape that is none": '"\\x41"',
    "half an escape": '"\\u12"',
    "a raw line break": '"a\nb"',
    "a raw zero": '"a\x00b"',
    "a mebibyte of one letter": '"' + "a" * (1 << 20) + '"',
    "a mebibyte of emoji": '"' + "\U0001f600" * (1 << 18) + '"',
    "a mebibyte of escapes": '"' + "\\u0301" * (1 << 17) + '"',
}
"""JSON of texts that no answer is given to."""

RAW: dict[str, bytes] = {
    "a byte that begins nothing": b'"\xff"',
    "half a character": b'"\xe2\x82"',
    "an overlong slash": b'"\xc0\xaf"',
    "a surrogate in bytes": b'"\xed\xa0\x80"',
    "past the last plane": b'"\xf4\x90\x80\x80"',
    "Latin letters": "é".join("ab").encode("latin-1").join([b'"', b'"']),
}
"""Not even text."""
