"""Files of this project's own making or of others', whatever is in them: atomic writing, journals, tables, safetensors headers."""
