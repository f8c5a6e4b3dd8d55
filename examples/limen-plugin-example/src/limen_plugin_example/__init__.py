"""Plug-ins for limen. Each module holds one; entry points in pyproject.toml say on which shelf it belongs."""
