"""The HTTP interface, one file a resource. Turns requests into use-cases; decides nothing."""
