"""limen inside Inspect (inspect_ai): tasks `limen/jnd` and `limen/ask`, the models `limen/NAME`, and logs read back."""
