"""Two other implementations of CEL, asked what an expression evaluates to.

An answer is the kind and the value of the result as plain Python, ``ERROR`` for an error of any sort, or ``REFUSED``
where the implementation does not accept the expression at all.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

import celpy
import celpy.celtypes as celtypes
from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_optional

from costlens_policy.expressions import Duration, Timestamp, Uint
from costlens_policy.expressions.runtime import to_python
from costlens_policy.expressions.runtime.equality import kind_of
from tests.expressions.strategies import VARIABLES

__all__ = ["ERROR", "REFUSED", "Answer", "answer_of", "ask_cel_cpp", "ask_cel_python"]

Answer = tuple[str, Any]
ERROR: Final[Answer] = ("error", None)
REFUSED: Final[Answer] = ("refused", None)


def answer_of(value: Any) -> Answer:
    """Return one of our own results as an answer."""
    return (kind_of(value), _comparable(to_python(value)))


def _comparable(value: Any) -> Any:
    """Return plain Python that compares as the same only if it is: NaN with NaN, by type, zeros by sign."""
    if isinstance(value, list):
        return [_comparable(element) for element in value]
    if isinstance(value, dict):
        return {key: _comparable(element) for key, element in value.items()}
    if isinstance(value, float):
        return ("double", "nan" if math.isnan(value) else value.hex())
    return (type(value).__name__, value)


_CPP_KINDS: Final = {
    "BOOL": "bool",
    "INT": "int",
    "UINT": "uint",
    "DOUBLE": "double",
    "STRING": "string",
    "BYTES": "bytes",
    "NULL": "null_type",
    "TIMESTAMP": "timestamp",
    "DURATION": "duration",
    "TYPE": "type",
    "LIST<DYN>": "list",
    "MAP<DYN, DYN>": "map",
}


@cache
def _cpp_environment() -> cel.Env:
    types = {name: _cpp_type(declared) for name, declared in VARIABLES.items()}
    types["request"] = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    return cel.NewEnv(variables=types, extensions=[ext_bindings.ExtBindings(), ext_optional.ExtOptional()])


def _cpp_type(declared: str) -> cel.Type:
    if declared.startswith("list"):
        return cel.Type.List(_cpp_type(declared[5:-1]))
    if declared.startswith("map"):
        return cel.Type.Map(*map(_cpp_type, declared[4:-1].split(", ")))
    return getattr(cel.Type, declared.upper())


def ask_cel_cpp(text: str, values: dict[str, Any]) -> Answer:
    """Ask Google's C++ implementation. Its ``eval`` does not raise: an error is a value of the type ERROR."""
    try:
        compiled = _cpp_environment().compile(text)
    except Exception:
        return REFUSED
    result = compiled.eval(data={name: to_python(value) for name, value in values.items()})
    kind = result.type().name()
    if kind == "ERROR":
        return ERROR
    return (_CPP_KINDS[kind], _comparable(_cpp_value(result.plain_value())))


def _cpp_value(value: Any) -> Any:
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, list):
        return [_cpp_value(element) for element in value]
    if isinstance(value, dict):
        return {key: _cpp_value(element) for key, element in value.items()}
    return value


_PYTHON_KINDS: Final[dict[type, str]] = {
    celtypes.BoolType: "bool",
    bool: "bool",
    celtypes.IntType: "int",
    celtypes.UintType: "uint",
    celtypes.DoubleType: "double",
    celtypes.StringType: "string",
    celtypes.BytesType: "bytes",
    celtypes.TimestampType: "timestamp",
    celtypes.DurationType: "duration",
    celtypes.ListType: "list",
    celtypes.MapType: "map",
    type(None): "null_type",
}


@cache
def _python_environment() -> celpy.Environment:
    return celpy.Environment(runner_class=celpy.InterpretedRunner)


def ask_cel_python(text: str, values: dict[str, Any]) -> Answer:
    """Ask cel-python's interpreter, which has no type checker and no ``cel.bind``."""
    environment = _python_environment()
    try:
        program = environment.program(environment.compile(text))
    except Exception:
        return REFUSED
    try:
        result = program.evaluate({name: _to_celpy(value) for name, value in values.items()})
    except Exception:
        return ERROR
    kind = _PYTHON_KINDS.get(type(result))
    return REFUSED if kind is None else (kind, _comparable(_from_celpy(result)))


def _to_celpy(value: Any) -> Any:
    match value:
        case None:
            return None
        case bool():
            return celtypes.BoolType(value)
        case Uint():
            return celtypes.UintType(value)
        case int():
            return celtypes.IntType(value)
        case float():
            return celtypes.DoubleType(value)
        case str():
            return celtypes.StringType(value)
        case bytes():
            return celtypes.BytesType(value)
        case Timestamp():
            return celtypes.TimestampType(to_python(value))
        case Duration():
            return celtypes.DurationType(to_python(value))
        case list():
            return celtypes.ListType([_to_celpy(element) for element in value])
    return celtypes.MapType({_to_celpy(key): _to_celpy(element) for key, element in value.items()})


def _from_celpy(value: Any) -> Any:
    match value:
        case bool() | celtypes.BoolType():
            return bool(value)
        case celtypes.IntType() | celtypes.UintType():
            return int(value)
        case celtypes.DoubleType():
            return float(value)
        case celtypes.StringType():
            return str(value)
        case celtypes.BytesType():
            return bytes(value)
        case celtypes.ListType():
            return [_from_celpy(element) for element in value]
        case celtypes.MapType():
            return {_from_celpy(key): _from_celpy(element) for key, element in value.items()}
        case datetime():
            return datetime.fromtimestamp(0, UTC) + (value - datetime.fromtimestamp(0, UTC))
        case timedelta():
            return timedelta(value.days, value.seconds, value.microseconds)
    return value
