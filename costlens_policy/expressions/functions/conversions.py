"""Conversions between types, `dyn` and `type`."""

from __future__ import annotations

from costlens_policy.expressions.functions import costs
from costlens_policy.expressions.functions.rows import ReadLiteral, function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function(
        "dyn",
        "the same value, without static type checking",
        cost=costs.same,
        constant_time=True,
        to_dyn="(<A>) -> dyn",
    ),
    function(
        "type",
        "the type of a value",
        cost=costs.constant,
        constant_time=True,
        type="(<A>) -> type(<A>)",
    ),
    function(
        "bool",
        "conversion to bool",
        cost=costs.scan,
        constant_time=True,
        bool_to_bool="(bool) -> bool",
        string_to_bool=ReadLiteral("(string) -> bool", "a bool", 'write "true" or "false"'),
    ),
    function(
        "bytes",
        "conversion to bytes",
        cost=costs.same,
        bytes_to_bytes="(bytes) -> bytes",
        string_to_bytes="(string) -> bytes",
    ),
    function(
        "int",
        "conversion to int; a double is truncated toward zero, a timestamp gives seconds",
        cost=costs.scan,
        constant_time=True,
        int64_to_int64="(int) -> int",
        uint64_to_int64="(uint) -> int",
        double_to_int64="(double) -> int",
        string_to_int64=ReadLiteral("(string) -> int", "an int", 'write "15"'),
        timestamp_to_int64="(timestamp) -> int",
        duration_to_int64="(duration) -> int",
    ),
    function(
        "uint",
        "conversion to uint",
        cost=costs.scan,
        constant_time=True,
        uint64_to_uint64="(uint) -> uint",
        int64_to_uint64="(int) -> uint",
        double_to_uint64="(double) -> uint",
        string_to_uint64=ReadLiteral("(string) -> uint", "a uint", 'write "15"'),
    ),
    function(
        "double",
        "conversion to double",
        cost=costs.scan,
        constant_time=True,
        double_to_double="(double) -> double",
        int64_to_double="(int) -> double",
        uint64_to_double="(uint) -> double",
        string_to_double=ReadLiteral("(string) -> double", "a number", 'write "1.5"'),
    ),
    function(
        "string",
        "conversion to string",
        cost=costs.short_text,
        string_to_string="(string) -> string",
        bool_to_string="(bool) -> string",
        int64_to_string="(int) -> string",
        uint64_to_string="(uint) -> string",
        double_to_string="(double) -> string",
        bytes_to_string="(bytes) -> string",
        timestamp_to_string="(timestamp) -> string",
        duration_to_string="(duration) -> string",
        ip_to_string="(net.IP) -> string",
        cidr_to_string="(net.CIDR) -> string",
    ),
    function(
        "timestamp",
        "a timestamp, from RFC 3339 text or seconds since 1970",
        cost=costs.scan,
        constant_time=True,
        timestamp_to_timestamp="(timestamp) -> timestamp",
        string_to_timestamp=ReadLiteral(
            "(string) -> timestamp", "a timestamp", 'write RFC 3339 with a zone, such as "2026-01-31T08:00:00Z"'
        ),
        int64_to_timestamp=ReadLiteral("(int) -> timestamp", "a timestamp", "write seconds since 1970"),
    ),
    function(
        "duration",
        "a duration, from text such as `1h30m`",
        cost=costs.scan,
        constant_time=True,
        duration_to_duration="(duration) -> duration",
        string_to_duration=ReadLiteral(
            "(string) -> duration", "a duration", 'write numbers with units, such as "90s", "1h30m" or "250ms"'
        ),
    ),
)
