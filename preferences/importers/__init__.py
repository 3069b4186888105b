"""Readers of preference formats, one format a file, the native one among them; `detect` tells which one a file has."""
