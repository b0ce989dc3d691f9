"""Lists in the forms they are asked for: a table for people, JSON, CSV and Parquet for programs."""
