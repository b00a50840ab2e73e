"""Text to token ids and back."""

from __future__ import annotations

from collections.abc import Iterable

from llguidance import LLTokenizer

from stoker.core.ids import TokenId
from stoker.errors import InvalidRequest
from stoker.text.pieces import Cutter
from stoker.text.user_text import UserText
from stoker.text.vocabulary import Vocabulary

_PROBE = "a \u00e9\u4e2d\U0001f525\x01"
"""Rare characters: a vocabulary that cannot spell them fails at load, not at a request."""


class Tokenizer:
    """Thread-safe: the Rust tokenizer and the tables are read-only.

    Text from a user never becomes a control token, whatever it spells (S08); only
    `encode_template` recognises those, and only where the template wrote them. Time is linear in
    the text, and other threads get to run in between (see pieces.py).
    """

    def __init__(self, vocabulary: Vocabulary, tokenizer_json: str) -> None:
        """`tokenizer_json` holds no control tokens. Raises ValueError if it cannot be used."""
        self.vocabulary = vocabulary
        self._rust = LLTokenizer(tokenizer_json, n_vocab=len(vocabulary.tokens), slices=[])
        self._rust.tokenize_str(_PROBE)
        self._cutter = Cutter(vocabulary.token_bytes)
        self.user_text = UserText(vocabulary.control_tokens)

    @property
    def vocab_size(self) -> int:
        return len(self.vocabulary.tokens)

    @property
    def bos_token_id(self) -> TokenId | None:
        return self.vocabulary.bos_token_id

    @property
    def eos_token_ids(self) -> frozenset[TokenId]:
        """Any of these ends an answer."""
        return self.vocabulary.eos_token_ids

    @property
    def special_ids(self) -> frozenset[TokenId]:
        """Control tokens: they add no text to an answer."""
        return self.vocabulary.control_token_ids

    def encode(self, text: str, *, add_bos: bool = False) -> list[TokenId]:
        """Ordinary text; with the begin token first if asked for and the model was trained so.

        Raises InvalidRequest for a lone surrogate, which is half a character and has no bytes.
        """
        bos = self.vocabulary.bos_token_id
        ids = [bos] if add_bos and self.vocabulary.adds_bos and bos is not None else []
        if not text:
            return ids
        prefix = " " if self.vocabulary.adds_space_prefix else ""
        try:
            for piece in self._cutter.pieces(prefix + text):
                ids += self._rust.tokenize_str(piece)
        except UnicodeEncodeError:
            raise InvalidRequest("the text holds half a character (a lone surrogate)") from None
        return ids

    def encode_template(self, rendered: str, guard: str) -> list[TokenId]:
        """A rendered chat template. `guard` stands where user text would spell a control token
        (see user_text.py), and is dropped."""
        control = self.vocabulary.control_tokens
        ids: list[TokenId] = []
        position = 0
        for match in self.user_text.pattern.finditer(rendered):
            ids += self.encode(rendered[position : match.start()].replace(guard, ""))
            ids.append(control[match.group()])
            position = match.end()
        return ids + self.encode(rendered[position:].replace(guard, ""))

    def token_bytes(self, token: TokenId) -> bytes:
        """What the token adds to the text; the spelling of a control token."""
        return self.vocabulary.token_bytes[token]

    def token_text(self, token: TokenId) -> str:
        """The token for people, as OpenAI shows it: its text, or `bytes:\\xe2\\x80` for a part of a
        character."""
        raw = self.token_bytes(token)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)

    def is_control(self, token: TokenId) -> bool:
        return token in self.vocabulary.control_token_ids

    def decode_bytes(self, tokens: Iterable[TokenId], *, skip_control: bool = True) -> bytes:
        hidden = self.vocabulary.control_token_ids if skip_control else frozenset()
        table = self.vocabulary.token_bytes
        return b"".join([table[token] for token in tokens if token not in hidden])

    def decode(self, tokens: Iterable[TokenId], *, skip_control: bool = True) -> str:
        """The text of whole prompts and answers; U+FFFD for bytes that are no character.

        The space a model's tokenizer puts before all text is dropped, so that `decode` undoes
        `encode`. A stream uses Detokenizer, which keeps it: there it separates words.
        """
        text = self.decode_bytes(tokens, skip_control=skip_control).decode(errors="replace")
        return text.removeprefix(" ") if self.vocabulary.adds_space_prefix else text
