"""The register as files: read, compared with what is registered, taken row by row, written out."""
