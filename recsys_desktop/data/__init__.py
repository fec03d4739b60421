"""Files to Datasets: readers, roles, cleaning, splits, statistics, synthetic data."""
