"""ASID: exploration that tells unknown parameters. Memmel et al., "ASID: Active Exploration for System Identification" (arXiv 2404.12308)."""
