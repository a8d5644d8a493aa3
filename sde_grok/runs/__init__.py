"""Training runs, whoever trained them: stopping times and records, logs, tables, cells, figures."""
