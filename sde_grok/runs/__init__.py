"""Training runs, whoever trained them: stopping times, records, logs, tables, figures."""
