"""From text to tokens, in time linear in the text. Every literal is validated here."""

from __future__ import annotations

import re
from typing import NamedTuple

from costlens_policy.expressions.limits import Limits
from costlens_policy.expressions.problems import Problem, shortened
from costlens_policy.expressions.syntax.grammar import Tables
from costlens_policy.expressions.tree import Extent
from costlens_policy.expressions.values import Uint, Value

__all__ = ["KEYWORDS", "RESERVED", "NumberLiteral", "TextLiteral", "Token", "read_number", "read_text", "tokenize"]


RESERVED = frozenset({
    "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package",
    "namespace", "return", "var", "void", "while",
})  # fmt: skip
_WORDS = {"true": ("BOOL_LIT", True), "false": ("BOOL_LIT", False), "null": ("NULL_LIT", None)}
KEYWORDS = frozenset({*_WORDS, "in"})
"""Words that are no name, not even after a dot unless in backquotes."""

# Alternatives and repetitions are possessive or start with different characters: nothing is ever matched twice.
_TOKEN = re.compile(
    r"""
    (?: [\t\n\f\r ]++ | //[^\n\r]*+ )*+
    (?:
      (?P<end>     \Z )
    | (?P<text>    (?P<prefix>[bB]?[rR]?) (?P<quotes> \"{3} | '{3} | \" | ' ) )
    | (?P<word>    [_a-zA-Z][_a-zA-Z0-9]*+ )
    | (?P<number>  0x[0-9a-fA-F]++[uU]?
                 | [0-9]++(?: (?:\.[0-9]++)? [eE][+-]?[0-9]++ | \.[0-9]++ | [uU] )?
                 | \.[0-9]++(?:[eE][+-]?[0-9]++)? )
    | (?P<sign>    && | \|\| | [<>=!]= | [-+*/%<>!?:.,()\[\]{}] )
    | (?P<quoted>  `[a-zA-Z0-9_.\-/ ]++` )
    )
    """,
    re.VERBOSE,
)
_SPACE = re.compile(r"(?:[\t\n\f\r ]++|//[^\n\r]*+)*+")
_BODIES = {
    (False, '"'): re.compile(r'(?:[^"\\\r\n]++|\\[^\r\n])*+"'),
    (False, "'"): re.compile(r"(?:[^'\\\r\n]++|\\[^\r\n])*+'"),
    (False, '"""'): re.compile(r'(?:[^"\\]++|\\.|"(?!""))*+"""', re.DOTALL),
    (False, "'''"): re.compile(r"(?:[^'\\]++|\\.|'(?!''))*+'''", re.DOTALL),
    (True, '"'): re.compile(r'[^"\r\n]*+"'),
    (True, "'"): re.compile(r"[^'\r\n]*+'"),
    (True, '"""'): re.compile(r'(?:[^"]++|"(?!""))*+"""'),
    (True, "'''"): re.compile(r"(?:[^']++|'(?!''))*+'''"),
}
_SURROGATE = re.compile("[\ud800-\udfff]")
_OPENING = frozenset({"LPAR", "LSQB", "LBRACE"})
_CLOSING = frozenset({"RPAR", "RSQB", "RBRACE"})
_OPERAND_ENDS = _CLOSING | {
    "IDENT", "INT_LIT", "UINT_LIT", "FLOAT_LIT", "STRING_LIT", "BYTES_LIT", "BOOL_LIT", "NULL_LIT",
}  # fmt: skip
_MISTAKES = {
    "=": "write `==` to compare",
    "&": "write `&&` for and",
    "|": "write `||` for or",
    ";": "an expression has no `;`",
    "\u201c": 'write straight quotes: `"`',
    "\u201d": 'write straight quotes: `"`',
    "\u2018": "write straight quotes: `'`",
    "\u2019": "write straight quotes: `'`",
    "`": "a name in backquotes holds letters, digits, `_`, `.`, `-`, `/` and spaces, and follows a dot",
    "#": "a comment begins with `//`",
    "@": "names begin with a letter or `_`",
    "$": "names begin with a letter or `_`",
}


class Token(NamedTuple):
    """``terminal`` is the grammar's name for it; ``value`` is that of a literal, or the name of an identifier."""

    terminal: str
    start: int
    end: int
    value: Value


def tokenize(source: str, limits: Limits, tables: Tables) -> tuple[list[Token], list[Problem]]:
    """Return the tokens of an expression, and what is wrong with its letters and literals."""
    lexer = _Lexer(source, limits, tables)
    lexer.run()
    return lexer.tokens, lexer.problems


class _Lexer:
    def __init__(self, source: str, limits: Limits, tables: Tables) -> None:
        self.tokens: list[Token] = []
        self.problems: list[Problem] = []
        self._source = source
        self._limits = limits
        self._signs = tables.signs
        self._depth = 0

    def run(self) -> None:
        for half in _SURROGATE.finditer(self._source):
            self._report("CL301", "half of a surrogate pair is not a character", *half.span())
            return
        position = 0
        while 0 <= position < len(self._source):
            match = _TOKEN.match(self._source, position)
            position = self._token(match) if match else self._unexpected(position)

    def _token(self, match: re.Match[str]) -> int:
        """Take one token; return where the next begins, or -1 when nothing sensible can follow."""
        kind = match.lastgroup or ""
        start, end = match.span(kind)
        if kind == "word":
            self._word(match[kind], start, end)
        elif kind == "sign":
            return self._sign(match[kind], start, end)
        elif kind == "text":
            return self._text(match)
        elif kind == "number":
            self._number(start, end)
        elif kind == "quoted":
            self._quoted(start, end)
        return end

    def _word(self, word: str, start: int, end: int) -> None:
        if word in _WORDS:
            self.tokens.append(Token(_WORDS[word][0], start, end, _WORDS[word][1]))
        elif word == "in":
            self.tokens.append(Token("IN", start, end, word))
        else:
            if word in RESERVED and not self._follows_dot():
                self._report("CL307", f"`{word}` is a reserved word", start, end, "this word cannot be a name")
            self.tokens.append(Token("IDENT", start, end, word))

    def _quoted(self, start: int, end: int) -> None:
        if not self._follows_dot():
            self._report("CL301", "a name in backquotes must follow a dot", start, end, "", _MISTAKES["`"])
        self.tokens.append(Token("IDENT", start, end, self._source[start + 1 : end - 1]))

    def _follows_dot(self) -> bool:
        before = [token.terminal for token in self.tokens[-2:]]
        return before[-1:] == ["DOT"] or before == ["DOT", "QMARK"]

    def _sign(self, sign: str, start: int, end: int) -> int:
        terminal = self._signs[sign]
        if terminal in _OPENING:
            self._depth += 1
            if self._depth > self._limits.nesting:
                message = f"brackets are nested more than {self._limits.nesting} deep"
                self._report("CL305", message, start, end, "one level too many", "split the expression")
                return -1
        elif terminal in _CLOSING:
            self._depth -= 1
        elif sign == "-" and not self._operand_before():
            number = _TOKEN.match(self._source, end)
            if number is not None and number.start("number") == end:
                self._number(start, number.end())
                return number.end()
        self.tokens.append(Token(terminal, start, end, sign))
        return end

    def _operand_before(self) -> bool:
        return bool(self.tokens) and self.tokens[-1].terminal in _OPERAND_ENDS

    def _number(self, start: int, end: int) -> None:
        number = read_number(self._source[start:end])
        if number.wrong:
            self._report("CL306", number.wrong, start, end, "", number.help)
        self.tokens.append(Token(number.terminal, start, end, number.value))

    def _text(self, match: re.Match[str]) -> int:
        start, opened = match.span("text")
        prefix, quotes = match["prefix"].lower(), match["quotes"]
        body = _BODIES["r" in prefix, quotes].match(self._source, opened)
        if body is None:
            self._unclosed(start, opened, quotes)
            return -1
        end = body.end()
        inside = self._source[opened : end - len(quotes)]
        if len(inside) > self._limits.literal:
            message = f"a literal must be at most {self._limits.literal:,} characters long, got {len(inside):,}"
            self._report("CL305", message, start, opened, "this literal is too long")
        literal = read_text(inside, prefix)
        for offset, length, wrong, advice in literal.wrong:
            self._report("CL306", wrong, opened + offset, opened + offset + length, "", advice)
        terminal = "BYTES_LIT" if "b" in prefix else "STRING_LIT"
        self.tokens.append(Token(terminal, start, end, literal.value))
        return end

    def _unclosed(self, start: int, opened: int, quotes: str) -> None:
        advice = f"close it with `{quotes}`"
        if len(quotes) == 1:
            advice += f"; write a text of several lines between `{quotes * 3}`"
        self._report("CL306", "unterminated string", start, opened, "it begins here", advice)

    def _unexpected(self, position: int) -> int:
        space = _SPACE.match(self._source, position)
        position = space.end() if space else position
        character = self._source[position]
        shown = f"`{character}`" if character.isprintable() else f"character U+{ord(character):04X}"
        advice = _MISTAKES.get(character, "")
        if not advice and character.isalpha():
            advice = "names are made of the letters a to z, digits and `_`; write other letters in strings"
        self._report("CL301", f"unexpected {shown}", position, position + 1, "", advice)
        return position + 1

    def _report(self, code: str, message: str, start: int, end: int, label: str = "", advice: str = "") -> None:
        self.problems.append(Problem(code, message, Extent(start, end), label, advice))


_INT_LIMIT = 2**63
_UINT_LIMIT = 2**64
_LONGEST_INTEGER = 24
_ESCAPE = re.compile(r"\\(?:[0-3][0-7]{2}|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_SINGLE = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "?": "?", '"': '"', "'": "'", "`": "`",
}  # fmt: skip


class NumberLiteral(NamedTuple):
    """``wrong`` is empty when the number is fine, else says why it is not."""

    terminal: str
    value: Value
    wrong: str = ""
    help: str = ""


class TextLiteral(NamedTuple):
    """``wrong`` lists offset, length, sentence and help of each escape that is no escape."""

    value: str | bytes
    wrong: tuple[tuple[int, int, str, str], ...] = ()


def read_number(text: str) -> NumberLiteral:
    """Read a number as the lexer cut it out, with its sign if it has one."""
    unsigned = text[-1] in "uU"
    digits = text.rstrip("uU")
    hexadecimal = "x" in digits
    if not hexadecimal and any(mark in digits for mark in ".eE"):
        return _read_double(text)
    integer = _bounded(digits, 16 if hexadecimal else 10)
    if unsigned:
        return _read_uint(text, integer)
    if integer is None or not -_INT_LIMIT <= integer < _INT_LIMIT:
        wrong = f"`{shortened(text, 32)}` does not fit in an int of 64 bits"
        return NumberLiteral("INT_LIT", 0, wrong, "a double (`1e20`) is larger, and a uint (`1u`) reaches twice as far")
    return NumberLiteral("INT_LIT", integer)


def _read_uint(text: str, integer: int | None) -> NumberLiteral:
    if integer is None or not 0 <= integer < _UINT_LIMIT:
        reason = "is negative" if text.startswith("-") else "has more than 64 bits"
        return NumberLiteral("UINT_LIT", Uint(0), f"`{shortened(text, 32)}` does not fit in a uint: it {reason}")
    return NumberLiteral("UINT_LIT", Uint(integer))


def _read_double(text: str) -> NumberLiteral:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        return NumberLiteral("FLOAT_LIT", 0.0, f"`{shortened(text, 32)}` does not fit in a double")
    return NumberLiteral("FLOAT_LIT", number)


def _bounded(digits: str, radix: int) -> int | None:
    """Return the integer, or None where it has so many digits that it cannot fit."""
    significant = digits.removeprefix("-").removeprefix("0x").lstrip("0")
    if len(significant) > _LONGEST_INTEGER:
        return None
    return int(significant or "0", radix) * (-1 if digits.startswith("-") else 1)


def read_text(inside: str, prefix: str) -> TextLiteral:
    """Read what stands between the quotes; ``prefix`` holds ``b`` for bytes, ``r`` for raw."""
    as_bytes = "b" in prefix
    if "r" in prefix or "\\" not in inside:
        return TextLiteral(inside.encode() if as_bytes else inside)
    pieces: list[bytes] = []
    wrong: list[tuple[int, int, str, str]] = []
    last = 0
    for match in _ESCAPE.finditer(inside):
        pieces.append(_encode(inside[last : match.start()]))
        last = match.end()
        piece = _escaped(match[0][1:], as_bytes)
        if piece is None:
            wrong.append((match.start(), len(match[0]), *_complaint(match[0], as_bytes)))
        else:
            pieces.append(piece)
    pieces.append(_encode(inside[last:]))
    return _joined(b"".join(pieces), inside, as_bytes, wrong)


def _joined(content: bytes, inside: str, as_bytes: bool, wrong: list[tuple[int, int, str, str]]) -> TextLiteral:
    if as_bytes or wrong:
        return TextLiteral(content if as_bytes else "", tuple(wrong))
    # Two halves of a surrogate pair become one character here; a half that stands alone is no character.
    paired = content.decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass")
    try:
        return TextLiteral(paired.decode("utf-16"))
    except UnicodeDecodeError:
        lone = "an escape is half of a surrogate pair, not a character"
        return TextLiteral("", ((0, len(inside), lone, "write the character itself, or `\\U` with eight digits"),))


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _escaped(escape: str, as_bytes: bool) -> bytes | None:
    """Return what an escape without its backslash stands for, in UTF-8, or None when it is none."""
    if len(escape) == 1:
        return _SINGLE[escape].encode() if escape in _SINGLE else None
    kind = escape[0]
    point = int(escape, 8) if kind.isdigit() else int(escape[1:], 16)
    if as_bytes:
        return None if kind in "uU" else bytes((point,))
    return _encode(chr(point)) if point <= 0x10FFFF else None


def _complaint(escape: str, as_bytes: bool) -> tuple[str, str]:
    if len(escape) > 2 and as_bytes:
        return f"`{escape}` is not allowed in bytes", "write the character itself, or its octets as `\\xNN`"
    if len(escape) > 2:
        return f"`{escape}` is not a Unicode character", ""
    if escape[1] in "xXuU01234567":
        digits = {"x": "two hexadecimal digits", "u": "four hexadecimal digits", "U": "eight hexadecimal digits"}
        needs = digits.get(escape[1] if escape[1] != "X" else "x", "three octal digits up to `\\377`")
        return f"`{escape}` must be followed by {needs}" if escape[1] in "xXuU" else f"`{escape}` begins {needs}", ""
    shown = f"`{escape}`" if escape.isprintable() else "a backslash before a line end"
    return f"{shown} is not an escape sequence", 'write `\\\\` for a backslash, or put `r` before the quotes: r"\\d+"'
