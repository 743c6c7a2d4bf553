"""Programs that measure on a worker, and ``report`` for a project's own scripts and tests.

::

    from bbmeasure_scripts import report

    report.size("wheel", os.path.getsize(path))
    with report.timer("link"):
        link()

They need Python 3.7 and the standard library; psutil is used where it is installed.
"""
