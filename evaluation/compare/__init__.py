"""Two sets of clips of the same prompts and seeds against each other: matching, a page to look at."""
