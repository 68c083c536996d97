"""The math extension."""

from __future__ import annotations

from costlens_policy.expressions.notation import function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function(
        "math.greatest",
        "the greatest of the arguments, or of a list",
        math_greatest_int="(int) -> int",
        math_greatest_uint="(uint) -> uint",
        math_greatest_double="(double) -> double",
        math_greatest_int_int="(int, int) -> int",
        math_greatest_int_uint="(int, uint) -> dyn",
        math_greatest_int_double="(int, double) -> dyn",
        math_greatest_uint_int="(uint, int) -> dyn",
        math_greatest_uint_uint="(uint, uint) -> uint",
        math_greatest_uint_double="(uint, double) -> dyn",
        math_greatest_double_int="(double, int) -> dyn",
        math_greatest_double_uint="(double, uint) -> dyn",
        math_greatest_double_double="(double, double) -> double",
        math_greatest_list_int="(list(int)) -> int",
        math_greatest_list_uint="(list(uint)) -> uint",
        math_greatest_list_double="(list(double)) -> double",
    ),
    function(
        "math.least",
        "the least of the arguments, or of a list",
        math_least_int="(int) -> int",
        math_least_uint="(uint) -> uint",
        math_least_double="(double) -> double",
        math_least_int_int="(int, int) -> int",
        math_least_int_uint="(int, uint) -> dyn",
        math_least_int_double="(int, double) -> dyn",
        math_least_uint_int="(uint, int) -> dyn",
        math_least_uint_uint="(uint, uint) -> uint",
        math_least_uint_double="(uint, double) -> dyn",
        math_least_double_int="(double, int) -> dyn",
        math_least_double_uint="(double, uint) -> dyn",
        math_least_double_double="(double, double) -> double",
        math_least_list_int="(list(int)) -> int",
        math_least_list_uint="(list(uint)) -> uint",
        math_least_list_double="(list(double)) -> double",
    ),
    function("math.ceil", "rounded up", math_ceil_double="(double) -> double"),
    function("math.floor", "rounded down", math_floor_double="(double) -> double"),
    function("math.round", "rounded to the nearest, halves away from zero", math_round_double="(double) -> double"),
    function("math.trunc", "cut towards zero", math_trunc_double="(double) -> double"),
    function("math.isNaN", "whether it is not a number", math_isNaN_double="(double) -> bool"),
    function("math.isInf", "whether it is infinite", math_isInf_double="(double) -> bool"),
    function(
        "math.isFinite", "whether it is neither infinite nor not a number", math_isFinite_double="(double) -> bool"
    ),
    function(
        "math.abs",
        "absolute value",
        math_abs_int="(int) -> int",
        math_abs_uint="(uint) -> uint",
        math_abs_double="(double) -> double",
    ),
    function(
        "math.sign",
        "-1, 0 or 1",
        math_sign_int="(int) -> int",
        math_sign_uint="(uint) -> uint",
        math_sign_double="(double) -> double",
    ),
    function(
        "math.sqrt",
        "square root",
        math_sqrt_int="(int) -> double",
        math_sqrt_uint="(uint) -> double",
        math_sqrt_double="(double) -> double",
    ),
    function(
        "math.bitAnd",
        "bits set in both",
        math_bitAnd_int_int="(int, int) -> int",
        math_bitAnd_uint_uint="(uint, uint) -> uint",
    ),
    function(
        "math.bitOr",
        "bits set in either",
        math_bitOr_int_int="(int, int) -> int",
        math_bitOr_uint_uint="(uint, uint) -> uint",
    ),
    function(
        "math.bitXor",
        "bits set in one only",
        math_bitXor_int_int="(int, int) -> int",
        math_bitXor_uint_uint="(uint, uint) -> uint",
    ),
    function(
        "math.bitNot",
        "bits inverted",
        math_bitNot_int="(int) -> int",
        math_bitNot_uint="(uint) -> uint",
    ),
    function(
        "math.bitShiftLeft",
        "bits moved up",
        math_bitShiftLeft_int_int="(int, int) -> int",
        math_bitShiftLeft_uint_int="(uint, int) -> uint",
    ),
    function(
        "math.bitShiftRight",
        "bits moved down, zeros coming in",
        math_bitShiftRight_int_int="(int, int) -> int",
        math_bitShiftRight_uint_int="(uint, int) -> uint",
    ),
)
