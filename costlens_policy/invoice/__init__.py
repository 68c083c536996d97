"""Invoice: what providers bill, held against what the ledger has recorded, and corrections of the difference.

Data flow one way: ``formats`` read lines, ``reading`` makes one invoice of them, ``recorded`` sums up the ledger by the
same cells, ``agreement`` compares both and ``causes`` explains the differences; ``corrections`` and ``focus`` write.
"""

from __future__ import annotations

from costlens_policy.invoice.agreement import Agreement, Row, Tolerance, agree
from costlens_policy.invoice.causes import Cause
from costlens_policy.invoice.corrections import Correction, Corrections, Made, correct, corrections_of
from costlens_policy.invoice.formats.tables import Table
from costlens_policy.invoice.lines import BilledLine, InvoiceError
from costlens_policy.invoice.reading import Invoice, read_invoice
from costlens_policy.invoice.recorded import Place, Recorded, Selection, read_logged, read_recorded

__all__ = [
    "Agreement", "BilledLine", "Cause", "Correction", "Corrections", "Invoice", "InvoiceError", "Made", "Place",
    "Recorded", "Row", "Selection", "Table", "Tolerance", "agree", "correct", "corrections_of", "read_invoice",
    "read_logged", "read_recorded",
]  # fmt: skip
