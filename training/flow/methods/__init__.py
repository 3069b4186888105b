"""What is trained for: one loss a file, each a class with the protocol of ``method.Method`` and its own options."""
