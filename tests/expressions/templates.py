"""How to write an expression of a type out of smaller ones.

``{int}`` stands for an expression of that type, ``{}`` for one of the template's own. After an ``@``, ``$int`` binds a
new variable of that type in what follows. What stands in a table twice is drawn twice as often.
"""

from __future__ import annotations

from typing import Final

__all__ = ["TEMPLATES"]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


def _compared() -> list[str]:
    kinds = ("int", "uint", "double", "string", "bytes", "bool", "timestamp", "duration")
    return [f"({{{kind}}} {sign} {{{kind}}})" for kind in kinds for sign in ("==", "!=", "<", "<=", ">", ">=")]


_LOGIC: Final = ["({bool} && {bool})", "({bool} || {bool})", "({bool} && {bool} && {bool})", "!{bool}"]

_MACROS: Final = _lines("""
    @{list(int)}.all($int, {bool})
    @{list(string)}.exists($string, {bool})
    @{list(int)}.exists_one($int, {bool})
    @{list(dyn)}.exists($dyn, {bool})
    @{list(dyn)}.all($dyn, {bool})
    @ms.all($string, {bool})
    @mi.exists($int, {bool})
""")

_TESTS: Final = _lines("""
    ({dyn} == {dyn})
    ({dyn} != {int})
    ({dyn} < {dyn})
    ({dyn} >= {int})
    ({string} == {dyn})
    ({dyn} != {bool})
    ({dyn} == null)
    ({int} < {double})
    ({double} >= {int})
    ({double} > 3)
    ({int} < {uint})
    ({bool} == true)
    ({bool} != true)
    ({int} in {list(int)})
    ({string} in {list(string)})
    ({dyn} in {list(dyn)})
    ({double} in ld)
    ({string} in ms)
    ({int} in mi)
    ({dyn} in mi)
    ({string} in ['a', 'ab', 'gpt-5'])
    ({dyn} in ['a', 'ab', 'gpt-5'])
    ({int} in [1, 2, 3])
    ({dyn} in [1, 2, 3])
    ({list(int)} == {list(int)})
    ({list(string)} != {list(string)})
    (ms == ms)
    (ld == ld)
    {string}.contains({string})
    {string}.startsWith({string})
    {string}.endsWith({string})
    {string}.matches('a+b?')
    {string}.matches('^gpt-')
    {string}.matches('a\\\\.b$')
    {string}.matches({string})
    has(ms.a)
    has(x.a)
    ms.?a.hasValue()
    x.?a.hasValue()
    (request.team == {string})
    (request.tokens > {int})
    (has(request.tier) && request.tier != {string})
    bool({string})
    (type({dyn}) == int)
    ({bool} ? {dyn} : {bool})
""")

TEMPLATES: Final[dict[str, list[str]]] = {
    "bool": [*_compared(), *_LOGIC * 8, *_MACROS * 2, *_TESTS],
    "int": [
        *_lines("""
            ({int} + {int})
            ({int} - {int})
            ({int} * {int})
            ({int} / {int})
            ({int} % {int})
            (-{int})
        """)
        * 3,
        *_lines("""
            (size({string}) + 1)
            {list(int)}.size()
            size({bytes})
            int({string})
            int({double})
            int({uint})
            ms.a
            ms[{string}]
            ms.?a.orValue({int})
            ms[?{string}].orValue(7)
            {list(int)}[?{int}].orValue({int})
            optional.of({int}).or(optional.of({int})).value()
            optional.ofNonZeroValue({int}).orValue({int})
            @ms.?a.optMap($int, {int}).orValue(7)
            @ms.?ab.optFlatMap($int, optional.of({int})).value()
            {list(int)}[{int}]
            {list(int)}[0]
            {timestamp}.getHours()
            {timestamp}.getMinutes()
            {timestamp}.getFullYear()
            {timestamp}.getDayOfWeek()
            {timestamp}.getDayOfYear()
            {timestamp}.getMonth()
            {timestamp}.getHours('America/New_York')
            {timestamp}.getDate('-02:30')
            {duration}.getSeconds()
            {duration}.getMinutes()
            int({timestamp})
        """),
    ],
    "uint": _lines("""
        ({uint} + {uint})
        ({uint} - {uint})
        ({uint} * {uint})
        ({uint} / {uint})
        ({uint} % {uint})
        uint({int})
        uint({double})
        uint({string})
    """),
    "double": _lines("""
        ({double} + {double})
        ({double} - {double})
        ({double} * {double})
        ({double} / {double})
        (-{double})
        double({int})
        double({uint})
        double({string})
        ld[0]
    """),
    "string": _lines("""
        ({string} + {string})
        ({string} + {string})
        string({int})
        string({uint})
        string({bool})
        string({bytes})
        string({timestamp})
        mi[{int}]
        mi[1]
        {list(string)}[{int}]
        request.team
    """),
    "bytes": _lines("""
        ({bytes} + {bytes})
        bytes({string})
    """),
    "timestamp": _lines("""
        ({timestamp} + {duration})
        ({timestamp} - {duration})
        timestamp({int})
        timestamp({string})
    """),
    "duration": _lines("""
        ({duration} + {duration})
        ({duration} - {duration})
        ({timestamp} - {timestamp})
        duration({string})
    """),
    "list(int)": _lines("""
        ({list(int)} + {list(int)})
        [{int}, {int}]
        @{list(int)}.map($int, {int})
        @{list(int)}.filter($int, {bool})
        @{list(string)}.map($string, {int})
        @{list(int)}.map($int, {bool}, {int})
    """),
    "list(string)": _lines("""
        ({list(string)} + {list(string)})
        [{string}]
        @{list(int)}.map($int, {string})
        @{list(string)}.filter($string, {bool})
        @ms.map($string, {string})
    """),
    "list(dyn)": _lines("""
        xs
        [{dyn}, {dyn}]
        @xs.filter($dyn, {bool})
        dyn({list(int)})
    """),
    "dyn": _lines("""
        dyn({int})
        dyn({double})
        dyn({string})
        dyn({bool})
        dyn({uint})
        x
        x.a
        xs[{int}]
        dyn({dyn} + {dyn})
        dyn({dyn} * {int})
        dyn(-{dyn})
        {dyn}[0]
        {dyn}[{dyn}]
        dyn(size({dyn}))
        dyn({list(int)})
    """),
}
