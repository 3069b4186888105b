"""Readers of other projects' preference formats, one format a file; `detect` tells which one a file has."""
