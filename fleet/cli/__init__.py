"""The people's face: the command `fleet`.

    main         the entry point: exit codes and what becomes of errors
    root         the global options and the table of verbs
    command      how a verb is declared, loaded late and helped
    face         what the global options said, and the workspace that they lead to
    streams      stdout is data, stderr is everything else (design, decision 10)
    documents    the JSON that `--json` prints and `fleet schema --output` describes
    watching     events as they come: a progress line a wave on a terminal, lines on a pipe
    verbs/       one module a verb, imported when it is called

Forbidden here: deciding anything. A verb reads options, asks the Workspace, and prints what it answers.
"""
