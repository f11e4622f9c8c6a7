"""One self-contained HTML page about a result, a study, a comparison, a plan or a verification."""
