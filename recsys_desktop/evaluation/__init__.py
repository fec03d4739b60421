"""Lists and ratings to figures: metrics, significance, segments."""
