"""The command line, the trainers and their data."""
