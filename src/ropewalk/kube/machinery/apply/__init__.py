"""Server-side apply: who set which field, and what an applied configuration does to an object."""
