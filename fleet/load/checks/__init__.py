"""What one document says that no type can refuse. Each check yields Flaws; none knows where a document was written."""
