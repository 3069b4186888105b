"""Vision-language models of the Qwen-VL family that look at frames and answer in words, and what judges make of it.

The networks are those of transformers, from a local folder, never with remote code. What stands around them is here: the
weights read one tensor at a time and kept in 16, 8 or 4 bits (``network``), the chat in which a caption cannot act as a
control token (``chat_text``), frames cut into patches (``pictures``), positions (``positions``), greedy answers of several
clips at once (``answers``), and the base of judges that answer in words (``written_judge``).
"""
