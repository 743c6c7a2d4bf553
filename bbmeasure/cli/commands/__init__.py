"""The commands of ``bbmeasure``, one module each.

The first line of a module's docstring is the command's help.  A module defines either ``add_arguments(parser)`` and
``run(options)``, which returns the exit status, or ``main(arguments)`` where the command parses its own arguments.
"""
