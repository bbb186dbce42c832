"""The HTTP side of the API: requests read, steps taken, answers worded."""
