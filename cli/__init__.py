"""The command line: the list of commands (``main``) and how each reads its options (``options``)."""
