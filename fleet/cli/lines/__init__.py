"""What the Workspace answers, as lines of text, where `fleet.report` has no words for it yet. Imported late."""
