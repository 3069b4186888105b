"""What a training will take, told before it begins: counted on the real network at its real size, without its memory."""
