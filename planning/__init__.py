"""What a run will take, told before it begins: counted on real networks at their real size, without their memory."""
