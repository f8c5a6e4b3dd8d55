"""Tests beside other programs, in a virtual environment of their own."""
