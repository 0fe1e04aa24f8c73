"""What each port promises, as pytest classes: subclass one, give it the fixtures that its docstring names, and run it.

Stand-ins and adapters run the same suite, so that a test with a stand-in says something about the real thing.
"""
