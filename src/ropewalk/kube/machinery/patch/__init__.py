"""The three ways in which a client may say a change: JSON patch, JSON merge patch, strategic merge patch."""
