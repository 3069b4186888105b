"""Many seeds of a prompt are drafted, judged early, and the best are finished."""
