"""One module a verb, each with its `command`; imported when the verb is called, and no sooner."""
