"""Conversions between types, and the functions that make types visible."""

from __future__ import annotations

from costlens_policy.expressions.notation import function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function("dyn", "the same value, with its type no longer checked", to_dyn="(<A>) -> dyn"),
    function("type", "the type of a value", type="(<A>) -> type(<A>)"),
    function("bool", "conversion to bool", bool_to_bool="(bool) -> bool", string_to_bool="(string) -> bool"),
    function("bytes", "conversion to bytes", bytes_to_bytes="(bytes) -> bytes", string_to_bytes="(string) -> bytes"),
    function(
        "int",
        "conversion to int; a double is cut towards zero, a timestamp gives seconds",
        int64_to_int64="(int) -> int",
        uint64_to_int64="(uint) -> int",
        double_to_int64="(double) -> int",
        string_to_int64="(string) -> int",
        timestamp_to_int64="(timestamp) -> int",
        duration_to_int64="(duration) -> int",
    ),
    function(
        "uint",
        "conversion to uint",
        uint64_to_uint64="(uint) -> uint",
        int64_to_uint64="(int) -> uint",
        double_to_uint64="(double) -> uint",
        string_to_uint64="(string) -> uint",
    ),
    function(
        "double",
        "conversion to double",
        double_to_double="(double) -> double",
        int64_to_double="(int) -> double",
        uint64_to_double="(uint) -> double",
        string_to_double="(string) -> double",
    ),
    function(
        "string",
        "conversion to string",
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
        "an instant, from RFC 3339 text or seconds since 1970",
        timestamp_to_timestamp="(timestamp) -> timestamp",
        string_to_timestamp="(string) -> timestamp",
        int64_to_timestamp="(int) -> timestamp",
    ),
    function(
        "duration",
        "a length of time, from text such as `1h30m`",
        duration_to_duration="(duration) -> duration",
        string_to_duration="(string) -> duration",
    ),
)
