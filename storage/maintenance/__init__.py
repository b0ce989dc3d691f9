"""Looking after a database: is it whole, make it smaller, save what can be read of a damaged one."""
