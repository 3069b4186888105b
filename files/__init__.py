"""Files, whatever is in them: written whole, grown line by line, locked, read strictly, known by their content.

``atomic_file`` and ``file_lock`` write; ``journal`` appends JSON lines; ``tables`` reads CSV and JSON (by ``csv_text``, which also
writes it, and ``json_text``); ``safetensors_header`` and ``tensor_file`` are for weights; ``digests`` for content.
"""
