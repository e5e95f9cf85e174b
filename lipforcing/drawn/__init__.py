"""Procedural talking faces and spoken sentences with phoneme times: training and test data whose truth is known."""
