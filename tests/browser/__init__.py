"""Tests of the page in a real browser, in a virtual environment of their own."""
