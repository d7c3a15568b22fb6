"""Tables as files: what a spreadsheet program writes and reads. Knows nothing of the register."""
