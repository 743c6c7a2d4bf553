"""Attacks on real masters: reports of untrusted builds, users without rights, slow clients."""
