"""Those controllers without which the API itself is not whole. What runs pods comes elsewhere."""
