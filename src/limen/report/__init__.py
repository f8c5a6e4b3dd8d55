"""The report: tables, figures, pages and files of runs, from their stores alone."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limen.report.report import Report

__all__ = ["Report"]


def __getattr__(name: str) -> Any:
    if name == "Report":
        from limen.report.report import Report

        return Report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
