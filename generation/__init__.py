"""``videoalign generate``: prompts in, a folder of clips out, with every clip's prompt, seed and settings."""
