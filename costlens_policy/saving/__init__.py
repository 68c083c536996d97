"""Plans on disk: policy sets that were read, checked and compiled before, ready without parsing again.

**What is in a file.** A plan is a tree of frozen dataclasses: typed expressions, rules, prices. The file lists them as
JSON, each with the name of its class and the fields that its constructor takes; everything derived is derived again.
It contains *no* Python code: expressions are compiled from their typed trees when they are first called, as in a newly
compiled plan. So loading executes nothing from the file. Pickle and marshaled code would start slightly faster, but
anyone who can write the file could run code in every service that loads it.

**What a file may name.** Only frozen dataclasses, enumerations and sections of documents that the phases up to the
compiler define (``encoding``), with exactly the fields of this version. Anything else is rejected.

**Whom to trust.** A plan decides, as policies do: a forged one could allow everything. A plan file (``files``) is as
trustworthy as its author, like a folder of policies. The automatic cache (``cache``) uses only a user folder that
nobody else can write to, and never one inside the repository of the policies, since policies under review are not
trusted.

**When a cached plan is valid.** Its key is the paths, the working directory, the day, and everything installed that
matters; and it is used only while each file that was read has the same bytes, and each folder lists the same files. If
anything is wrong with the cache, policies are read as if there were none.
"""

from __future__ import annotations

__all__: list[str] = []
