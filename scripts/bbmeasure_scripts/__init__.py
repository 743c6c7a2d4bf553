"""What runs on a worker: programs that measure, and ``report`` for a project's own scripts and tests.

::

    from bbmeasure_scripts import report

    report.size("wheel", os.path.getsize(path))
    with report.timer("link"):
        link()

Python 3.7 and the standard library are enough; psutil is used where it is there.
"""
