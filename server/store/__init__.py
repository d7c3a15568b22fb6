"""Every query, one file a subject: rows in, core values out. Decides nothing."""
