"""Films, stills and charts."""
