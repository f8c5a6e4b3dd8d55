"""The roof: tables, figures and pages, drawn from stores only. A report that needs a live model is a bug."""
