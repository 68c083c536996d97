"""The fast form: one Python expression that is right whenever it does not raise.

Wherever it raises anything at all, the exact form evaluates the expression again. So the emitter may use whatever
Python does faster, as long as each operation either gives CEL's result or raises. The claim holds for a whole
expression because it holds for its parts:

* An operator or function emitted here, given CEL's values for its operands, gives CEL's value or raises. Its operands
  are evaluated once, in any order, without effects; if one raises, so does the whole.
* ``a and b``, for bools, is CEL's ``a && b`` whenever Python does not raise. If it gives False, some operand is false,
  and CEL's result is false whatever the operands that Python skipped would do, errors included. If it gives True,
  every operand was evaluated and is true. ``or``, ``all()`` and ``any()`` likewise.
* Where CEL would absorb an error, Python raises, and the exact form absorbs it.
* An operand of ``&&`` whose static type is not bool is passed through ``truth``, which raises for all but bools.

Static types are trusted: the checker deduced them, and the border (``runtime.admit``) held values to them. What the
checker lets a static type hide is null (where a timestamp, duration or optional may be null); on it every operation
emitted for those types raises.
"""
