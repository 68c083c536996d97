"""Plans on disk: policy sets that were read, checked and compiled before, ready without parsing again.

**What is in a file.** A plan is a tree of frozen dataclasses: typed expressions, rules, prices. The file lists them as
JSON, each with the name of its class and the fields that its constructor takes; everything derived is derived anew.
Python code is *not* in it: expressions become functions when they are first called, from their typed trees, as they do
in a plan that was just compiled. So loading executes nothing that a file brings along. Pickle and marshalled code would
start somewhat sooner, but whoever could write the file could run code in every service that loads it.

**What a file may name.** Only frozen dataclasses, enumerations and sections of documents that the phases up to the
compiler define (``encoding``), with just the fields that they have in this version. What differs is refused.

**Whom to trust.** A plan decides, as policies do: a forged one could allow everything. A file that is loaded by name
(``files``) is as good as its author, like a folder of policies. The automatic cache (``cache``) reads and writes only a
folder of the user's own that no other can write to, and never one inside the repository that the policies come from,
since policies under review are not trusted.

**When a kept plan holds.** It is found by the paths given, the working folder, the day, and everything installed that
has a say; and it is used only while each file that was read still has the same bytes, and each folder lists the same
files. Whatever is wrong with the cache, policies are read as if there were none.
"""

from __future__ import annotations

__all__: list[str] = []
