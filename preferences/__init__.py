"""Preference data: the native pair file, importers of public formats, and what the trainers read."""
