"""The time that a budget covers: when its period began, when it starts anew, and how it will stand at the end."""

from __future__ import annotations

from costlens_policy.periods.errors import PeriodError
from costlens_policy.periods.forecast import Forecast, forecast
from costlens_policy.periods.windows import Period, Schedule, schedule_of

__all__ = ["Forecast", "Period", "PeriodError", "Schedule", "forecast", "schedule_of"]
